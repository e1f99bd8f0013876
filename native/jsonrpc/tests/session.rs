//! The session, driven by hand: bytes and times go in, bytes and events come out.

use std::time::{Duration, Instant};

use jsonrpc::{
    Event, Executed, Limits, Outcome, Profile, ProtocolError, Session, SubmitError, Version, Window,
};
use serde_json::{Value, json};

fn echo(method: &str, params: &Value) -> Option<Value> {
    (method == "echo").then(|| params.clone())
}

const PROFILE: Profile = Profile {
    version: Version::V2,
    max_request_bytes: 1024,
    window: Window { max_requests: 2, max_unsent_bytes: 200 },
    limits: Limits { max_depth: 16, max_bytes: 4096 },
    answer: echo,
};

struct Bench {
    session: Session,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { session: Session::new(PROFILE), now: Instant::now() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.now + Duration::from_secs(seconds)
    }

    fn submit(&mut self, id: u64) {
        let deadline = self.at(10);
        self.session.submit(id, "m", None, deadline).expect("a small request with a new id");
    }

    /// Writes everything and gives the ids of the requests in it.
    fn write(&mut self) -> Vec<u64> {
        let bytes = self.session.transmit().to_vec();
        self.session.transmitted(bytes.len());
        serde_json::Deserializer::from_slice(&bytes)
            .into_iter::<Value>()
            .filter_map(|message| message.expect("only JSON is sent")["id"].as_u64())
            .collect()
    }

    fn reply(&mut self, id: u64, result: &Value) -> Vec<Event> {
        let mut events = Vec::new();
        let bytes = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        self.session.receive(bytes.as_bytes(), &mut events).expect("a good reply");
        events
    }

    fn lose(&mut self) -> Vec<(u64, Executed)> {
        let mut events = Vec::new();
        self.session.disconnected(&mut events);
        let mut lost: Vec<_> = events
            .into_iter()
            .map(|event| match event {
                Event::Settled { id, outcome: Outcome::Lost(executed) } => (id, executed),
                other => panic!("not a loss: {other:?}"),
            })
            .collect();
        lost.sort_by_key(|(id, _)| *id);
        lost
    }
}

fn settled(id: u64, result: Value) -> Vec<Event> {
    vec![Event::Settled { id, outcome: Outcome::Result(result.into()) }]
}

#[test]
fn requests_that_are_ready_together_leave_as_one_piece() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.submit(2);
    assert_eq!(bench.write(), [1, 2]);
}

#[test]
fn replies_are_matched_in_any_order() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.submit(2);
    bench.write();
    assert_eq!(bench.reply(2, &json!("b")), settled(2, json!("b")));
    assert_eq!(bench.reply(1, &json!("a")), settled(1, json!("a")));
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    let mut bench = Bench::new();
    (1..=4).for_each(|id| bench.submit(id));
    assert_eq!(bench.write(), [1, 2]);
    assert_eq!(bench.write(), [0_u64; 0]);
    bench.reply(1, &Value::Null);
    assert_eq!(bench.write(), [3]);
}

#[test]
fn the_window_bounds_unsent_bytes_but_lets_a_large_request_pass_alone() {
    let mut bench = Bench::new();
    let deadline = bench.at(10);
    let large = json!("x".repeat(300));
    bench.session.submit(1, "m", Some(&large), deadline).unwrap();
    bench.submit(2);
    assert_eq!(bench.write(), [1]);
    assert_eq!(bench.write(), [2]);
}

#[test]
fn a_request_that_the_peer_would_not_read_is_refused() {
    let mut bench = Bench::new();
    let deadline = bench.at(10);
    let refused = bench.session.submit(1, "m", Some(&json!("x".repeat(1024))), deadline);
    assert!(matches!(refused, Err(SubmitError::TooLarge { limit_bytes: 1024, .. })));
    assert_eq!(bench.write(), [0_u64; 0]);
    assert_eq!(bench.session.next_deadline(), None);
}

#[test]
fn an_id_under_way_cannot_be_used_again() {
    let mut bench = Bench::new();
    bench.submit(1);
    let deadline = bench.at(10);
    assert_eq!(bench.session.submit(1, "m", None, deadline), Err(SubmitError::DuplicateId(1)));
    bench.write();
    assert_eq!(bench.session.submit(1, "m", None, deadline), Err(SubmitError::DuplicateId(1)));
}

#[test]
fn a_deadline_tells_unsent_from_unknown() {
    let mut bench = Bench::new();
    (1..=3).for_each(|id| bench.submit(id));
    bench.write();
    let mut events = Vec::new();
    assert_eq!(bench.session.next_deadline(), Some(bench.at(10)));
    bench.session.expire(bench.at(9), &mut events).unwrap();
    assert_eq!(events, []);
    // Requests 1 and 2 fill the window and are sent; 3 never left.
    let stuck = bench.session.expire(bench.at(10), &mut events);
    let outcomes: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Settled { id, outcome: Outcome::TimedOut(executed) } => (*id, *executed),
            other => panic!("not a deadline: {other:?}"),
        })
        .collect();
    assert_eq!(outcomes, [(1, Executed::Unknown), (2, Executed::Unknown), (3, Executed::No)]);
    assert_eq!(stuck, Err(ProtocolError::Stuck));
}

#[test]
fn a_late_reply_is_dropped_and_frees_its_place() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.write();
    let mut events = Vec::new();
    bench.session.expire(bench.at(10), &mut events).unwrap();
    assert_eq!(bench.reply(1, &Value::Null), []);
    bench.submit(2);
    bench.submit(3);
    assert_eq!(bench.write(), [2, 3]);
}

#[test]
fn a_request_forgotten_before_it_left_is_never_sent() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.session.forget(1);
    assert_eq!(bench.write(), [0_u64; 0]);
    assert_eq!(bench.session.next_deadline(), None);
}

#[test]
fn a_request_forgotten_on_the_wire_keeps_its_place_until_answered() {
    let mut bench = Bench::new();
    (1..=3).for_each(|id| bench.submit(id));
    bench.write();
    bench.session.forget(1);
    assert_eq!(bench.write(), [0_u64; 0]);
    assert_eq!(bench.reply(1, &Value::Null), []);
    assert_eq!(bench.write(), [3]);
}

#[test]
fn a_window_of_forgotten_requests_is_stuck_until_one_is_answered() {
    let mut bench = Bench::new();
    (1..=2).for_each(|id| bench.submit(id));
    bench.write();
    bench.session.forget(1);
    assert_eq!(bench.session.check_window(), Ok(()));
    bench.session.forget(2);
    assert_eq!(bench.session.check_window(), Err(ProtocolError::Stuck));
    bench.reply(1, &Value::Null);
    assert_eq!(bench.session.check_window(), Ok(()));
}

#[test]
fn a_lost_connection_tells_what_the_peer_cannot_have_seen() {
    let mut bench = Bench::new();
    (1..=3).for_each(|id| bench.submit(id));
    let first = bench.session.transmit().len() / 2;
    bench.session.transmitted(first);
    let cut = bench.session.transmit().len() - 1;
    bench.session.transmitted(cut);
    // All but the last byte left: 1 is complete, 2 is not, 3 waits for the window.
    assert_eq!(bench.lose(), [(1, Executed::Unknown), (2, Executed::No), (3, Executed::No)]);
}

#[test]
fn nothing_is_carried_over_to_the_next_connection() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.session.transmit();
    bench.session.transmitted(3);
    let mut events = Vec::new();
    bench.session.receive(b"{\"half\":", &mut events).unwrap();
    bench.lose();
    assert_eq!(bench.session.transmit(), b"");
    bench.submit(2);
    assert_eq!(bench.write(), [2]);
    assert_eq!(bench.reply(2, &json!(true)), settled(2, json!(true)));
}

#[test]
fn a_forgotten_request_is_not_reported_as_lost() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.write();
    bench.session.forget(1);
    assert_eq!(bench.lose(), []);
}

#[test]
fn requests_of_the_peer_are_answered_outside_the_window() {
    let mut bench = Bench::new();
    bench.submit(1);
    bench.submit(2);
    bench.write();
    let mut events = Vec::new();
    bench.session.receive(br#"{"id":"e","method":"echo","params":[7]}"#, &mut events).unwrap();
    assert_eq!(events, []);
    let answer: Value = serde_json::from_slice(bench.session.transmit()).unwrap();
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": "e", "result": [7]}));
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_cut_off() {
    let mut bench = Bench::new();
    let mut events = Vec::new();
    let ask = br#"{"id":"e","method":"echo","params":["0123456789"]}"#;
    let refused = (0..10).find_map(|_| bench.session.receive(ask, &mut events).err());
    assert_eq!(refused, Some(ProtocolError::Unread));
    assert!(bench.session.transmit().len() <= PROFILE.window.max_unsent_bytes);
}

#[test]
fn a_peer_that_reads_is_answered_as_often_as_it_asks() {
    let mut bench = Bench::new();
    let mut events = Vec::new();
    for _ in 0..100 {
        bench.session.receive(br#"{"id":"e","method":"echo","params":["0123456789"]}"#, &mut events).unwrap();
        bench.write();
    }
}

#[test]
fn nothing_is_lost_when_written_bytes_are_dropped_from_a_long_outbox() {
    const LONG: Profile = Profile {
        max_request_bytes: 1 << 18,
        window: Window { max_requests: 2, max_unsent_bytes: 1 << 18 },
        ..PROFILE
    };
    let mut bench = Bench { session: Session::new(LONG), ..Bench::new() };
    let deadline = bench.at(10);
    let large = json!("x".repeat(100_000));
    for id in 1..=2 {
        bench.session.submit(id, "m", Some(&large), deadline).unwrap();
    }
    let whole = bench.session.transmit().to_vec();
    let mut written = Vec::new();
    while let Some(piece) = bench.session.transmit().chunks(40_000).next().map(<[u8]>::to_vec) {
        bench.session.transmitted(piece.len());
        written.extend(piece);
    }
    assert!(written == whole);
    assert_eq!(bench.lose(), [(1, Executed::Unknown), (2, Executed::Unknown)]);
}

#[test]
fn an_unknown_request_of_the_peer_is_refused_in_its_own_words() {
    let mut bench = Bench::new();
    let mut events = Vec::new();
    bench.session.receive(br#"{"id":1,"method":"steal","params":[]}"#, &mut events).unwrap();
    let answer: Value = serde_json::from_slice(bench.session.transmit()).unwrap();
    assert_eq!(answer["error"]["code"], -32601);
}

#[test]
fn notifications_are_passed_on() {
    let mut bench = Bench::new();
    let mut events = Vec::new();
    bench.session.receive(br#"{"id":null,"method":"update2","params":[1,{}]}"#, &mut events).unwrap();
    assert_eq!(events, [Event::Notified { method: "update2".into(), params: json!([1, {}]) }]);
}
