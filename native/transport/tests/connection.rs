//! The connection against a scripted peer on a real Unix socket.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jsonrpc::{Executed, Limits, Profile, Version, Window};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use transport::{Connection, Request, Settlement, Sink};

const PROFILE: Profile = Profile {
    version: Version::V2,
    max_request_bytes: 1 << 18,
    window: Window { max_requests: 64, max_unsent_bytes: 1 << 18 },
    limits: Limits { max_depth: 64, max_bytes: 1 << 24 },
    answer: |_, _| None,
};

struct Channel(mpsc::UnboundedSender<(u64, Settlement)>);

impl Sink for Channel {
    fn settled(&mut self, id: u64, settlement: Settlement) {
        self.0.send((id, settlement)).expect("the test listens");
    }
    fn notified(&mut self, method: &str, _params: &Value) -> Result<(), String> {
        Err(format!("nothing notifies here: {method}"))
    }
    fn disconnected(&mut self, _cause: &str) {}
    fn flush(&mut self) {}
}

/// A socket path of its own, removed at the end.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("mp-{}-{}.sock", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Bench {
    path: SocketPath,
    connection: Connection,
    settled: mpsc::UnboundedReceiver<(u64, Settlement)>,
}

impl Bench {
    fn new() -> Self {
        let path = SocketPath::new();
        let (sender, settled) = mpsc::unbounded_channel();
        let connection = Connection::spawn(&Handle::current(), path.0.clone(), PROFILE, Channel(sender));
        Self { path, connection, settled }
    }

    fn listen(&self) -> UnixListener {
        let _ = std::fs::remove_file(&self.path.0);
        UnixListener::bind(&self.path.0).expect("a fresh path")
    }

    fn submit(&self, ids: &[u64], timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let request = |id: &u64| Request { id: *id, method: "m".into(), params: None, deadline };
        assert!(self.connection.submit(ids.iter().map(request).collect()));
    }

    async fn settled(&mut self) -> (u64, Settlement) {
        self.settled.recv().await.expect("the connection reports")
    }
}

const LONG: Duration = Duration::from_secs(30);

async fn read(stream: &mut UnixStream) -> Vec<u64> {
    let mut buffer = vec![0; 1 << 16];
    let count = stream.read(&mut buffer).await.unwrap();
    let messages = serde_json::Deserializer::from_slice(&buffer[..count]).into_iter::<Value>();
    messages.map(|message| message.unwrap()["id"].as_u64().unwrap()).collect()
}

async fn reply(stream: &mut UnixStream, id: u64) {
    let bytes = json!({"jsonrpc": "2.0", "id": id, "result": id}).to_string();
    stream.write_all(bytes.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn requests_submitted_together_arrive_in_one_read() {
    let mut bench = Bench::new();
    let listener = bench.listen();
    bench.submit(&[1, 2, 3], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(read(&mut peer).await, [1, 2, 3]);
    reply(&mut peer, 3).await;
    assert_eq!(bench.settled().await, (3, Settlement::Result(json!(3).into())));
}

#[tokio::test]
async fn nobody_listening_means_not_sent_and_is_tried_again() {
    let mut bench = Bench::new();
    bench.submit(&[1], LONG);
    let (id, settlement) = bench.settled().await;
    assert_eq!(id, 1);
    assert!(
        matches!(settlement, Settlement::Lost { executed: Executed::No, cause } if cause.contains("cannot connect"))
    );
    let listener = bench.listen();
    bench.submit(&[2], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(read(&mut peer).await, [2]);
}

#[tokio::test]
async fn a_silent_close_leaves_the_outcome_unknown_and_the_next_request_connects_anew() {
    let mut bench = Bench::new();
    let listener = bench.listen();
    bench.submit(&[1], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(read(&mut peer).await, [1]);
    drop(peer);
    let (id, settlement) = bench.settled().await;
    assert_eq!(id, 1);
    assert!(
        matches!(settlement, Settlement::Lost { executed: Executed::Unknown, cause } if cause.contains("closed"))
    );
    bench.submit(&[2], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(read(&mut peer).await, [2]);
    reply(&mut peer, 2).await;
    assert_eq!(bench.settled().await, (2, Settlement::Result(json!(2).into())));
}

#[tokio::test]
async fn a_deadline_passes_without_harming_the_others() {
    let mut bench = Bench::new();
    let listener = bench.listen();
    bench.submit(&[1], Duration::from_millis(20));
    bench.submit(&[2], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(bench.settled().await, (1, Settlement::TimedOut(Executed::Unknown)));
    read(&mut peer).await;
    reply(&mut peer, 1).await;
    reply(&mut peer, 2).await;
    assert_eq!(bench.settled().await, (2, Settlement::Result(json!(2).into())));
}

#[tokio::test]
async fn a_window_that_everybody_gave_up_on_does_not_keep_the_next_request_waiting() {
    let mut bench = Bench::new();
    let listener = bench.listen();
    let window: Vec<u64> = (1..=PROFILE.window.max_requests as u64).collect();
    bench.submit(&window, LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(read(&mut peer).await, window);
    for id in &window {
        bench.connection.forget(*id);
    }
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
    bench.submit(&[1000], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(read(&mut peer).await, [1000]);
    reply(&mut peer, 1000).await;
    assert_eq!(bench.settled().await, (1000, Settlement::Result(json!(1000).into())));
}

#[tokio::test]
async fn garbage_ends_the_connection_with_its_cause() {
    let mut bench = Bench::new();
    let listener = bench.listen();
    bench.submit(&[1], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    read(&mut peer).await;
    peer.write_all(b"HTTP/1.1 400").await.unwrap();
    let (_, settlement) = bench.settled().await;
    assert!(matches!(settlement, Settlement::Lost { cause, .. } if cause.contains("expected a JSON object")));
}

#[tokio::test]
async fn a_notification_that_makes_no_sense_ends_the_connection() {
    let mut bench = Bench::new();
    let listener = bench.listen();
    bench.submit(&[1], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    read(&mut peer).await;
    peer.write_all(br#"{"id":null,"method":"wiggle","params":[]}"#).await.unwrap();
    let (_, settlement) = bench.settled().await;
    assert!(
        matches!(settlement, Settlement::Lost { cause, .. } if cause.contains("nothing notifies here: wiggle"))
    );
}

#[tokio::test]
async fn dropping_the_connection_closes_the_socket_and_settles_what_is_under_way() {
    let mut bench = Bench::new();
    let listener = bench.listen();
    bench.submit(&[1], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    read(&mut peer).await;
    drop(bench.connection);
    let (id, settlement) = bench.settled.recv().await.unwrap();
    assert_eq!(id, 1);
    assert!(matches!(settlement, Settlement::Lost { executed: Executed::Unknown, .. }));
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
}

/// A connection over which request 1 was answered, and the peer's end of it.
async fn idle() -> (Bench, UnixStream) {
    let mut bench = Bench::new();
    let listener = bench.listen();
    bench.submit(&[1], LONG);
    let (mut peer, _) = listener.accept().await.unwrap();
    read(&mut peer).await;
    reply(&mut peer, 1).await;
    bench.settled().await;
    // The task has nothing left to do but to wait.
    tokio::task::yield_now().await;
    (bench, peer)
}

#[tokio::test]
async fn a_request_over_an_idle_connection_needs_no_turn_of_the_task() {
    let (mut bench, peer) = idle().await;
    let mut peer = peer.into_std().unwrap();
    bench.submit(&[2], LONG);
    // The peer does not block, and nothing is awaited: the task, on this thread, has no turn.
    let mut buffer = [0; 256];
    let count = std::io::Read::read(&mut peer, &mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..count]).contains("\"id\":2"));
    let mut peer = UnixStream::from_std(peer).unwrap();
    reply(&mut peer, 2).await;
    assert_eq!(bench.settled().await, (2, Settlement::Result(json!(2).into())));
}

#[tokio::test]
async fn a_deadline_earlier_than_any_before_is_kept() {
    let (mut bench, _peer) = idle().await;
    bench.submit(&[2], LONG);
    bench.submit(&[3], Duration::from_millis(50));
    assert_eq!(bench.settled().await, (3, Settlement::TimedOut(Executed::Unknown)));
}

#[tokio::test]
async fn what_the_peer_has_no_room_for_leaves_as_it_reads() {
    let (bench, mut peer) = idle().await;
    let params = Some(json!({"data": "x".repeat(PROFILE.max_request_bytes / 2)}));
    let deadline = Instant::now() + LONG;
    let request = |id| Request { id, method: "m".into(), params: params.clone(), deadline };
    let ids = 2..=9;
    assert!(bench.connection.submit(ids.clone().map(request).collect()));
    let mut received = Vec::new();
    let last = format!("\"id\":{}", ids.end());
    while !String::from_utf8_lossy(&received).contains(&last) {
        let mut buffer = vec![0; 1 << 16];
        let count = peer.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the connection ended");
        received.extend_from_slice(&buffer[..count]);
    }
}

#[tokio::test]
async fn a_request_to_a_peer_that_has_gone_is_settled() {
    let (mut bench, peer) = idle().await;
    drop(peer);
    bench.submit(&[2], LONG);
    let (id, settlement) = bench.settled().await;
    assert_eq!(id, 2);
    assert!(matches!(settlement, Settlement::Lost { executed: Executed::No, .. }));
}
