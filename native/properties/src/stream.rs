//! A stream means the same however the socket cuts it, costs no more than its limits, and is cut where JSON says.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jsonrpc::{
    Event, FrameError, Framer, Limits, Message, Outcome, Profile, ProtocolError, Session, Version,
};
use serde_json::{Map, Value};

const LIMITS: Limits = Limits { max_depth: 16, max_bytes: 2048 };
const REQUESTS: u64 = 5;

/// The first byte chooses the dialect and the size of the pieces, the others are the stream.
///
/// # Panics
/// When the property is broken.
pub fn stream(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let profile = profile(choice & 1 == 0);
    let piece = usize::from(choice >> 1) + 1;
    let whole = frames(bytes, bytes.len().max(1));
    assert_eq!(whole, frames(bytes, piece), "frames depend on pieces of {piece} bytes");
    assert_cut_as_json(bytes, &whole);
    for frame in &whole.0 {
        assert_message_reads_back(&profile, frame);
    }
    let heard = converse(profile, bytes, bytes.len().max(1));
    assert_eq!(heard, converse(profile, bytes, piece), "a session depends on pieces of {piece} bytes");
    assert_settled_once(&heard.events);
}

fn profile(first: bool) -> Profile {
    let version = if first { Version::V1 } else { Version::V2 };
    Profile { version, limits: LIMITS, ..ovsdb::profile() }
}

type Frames = (Vec<Vec<u8>>, Option<FrameError>);

/// All frames up to the error, if there is one; and no more is held back than a frame may have.
fn frames(bytes: &[u8], piece: usize) -> Frames {
    let mut framer = Framer::new(LIMITS);
    let mut found: Vec<Vec<u8>> = Vec::new();
    let (mut pushed, mut taken) = (0, 0);
    for part in bytes.chunks(piece) {
        framer.push(part);
        pushed += part.len();
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    assert!(frame.len() <= LIMITS.max_bytes, "a frame of {} bytes", frame.len());
                    taken = behind(&bytes[..pushed], taken, frame);
                    found.push(frame.to_vec());
                }
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
        let held = without_space(&bytes[taken..pushed]).len();
        assert!(held <= LIMITS.max_bytes, "{held} bytes are held of an object that may have fewer");
    }
    (found, None)
}

/// The end of a frame, which must be the next thing in the stream.
fn behind(pushed: &[u8], taken: usize, frame: &[u8]) -> usize {
    let rest = without_space(&pushed[taken..]);
    assert!(rest.starts_with(frame), "a frame is not the next piece of the stream");
    pushed.len() - rest.len() + frame.len()
}

fn without_space(bytes: &[u8]) -> &[u8] {
    let space = bytes.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
    &bytes[space..]
}

/// As far as the stream is JSON objects, the frames are those objects.
fn assert_cut_as_json(bytes: &[u8], (frames, error): &Frames) {
    let objects = serde_json::Deserializer::from_slice(bytes).into_iter::<Map<String, Value>>();
    let objects: Vec<_> = objects.map_while(Result::ok).collect();
    for (frame, object) in frames.iter().zip(&objects) {
        let read: Map<String, Value> =
            serde_json::from_slice(frame).expect("a frame of good JSON is good JSON");
        assert_eq!(&read, object);
    }
    let limited = matches!(error, Some(FrameError::TooDeep(_) | FrameError::TooLarge(_)));
    assert!(limited || frames.len() >= objects.len(), "{} frames of {} objects", frames.len(), objects.len());
}

/// A request of the peer is answered by what reads as the answer to it; what we would ask reads as asked.
fn assert_message_reads_back(profile: &Profile, frame: &[u8]) {
    let Ok(Message::Request { id, method, params }) = Message::parse(frame) else { return };
    let answer = Message::parse(&profile.reply(&id, &method, &params));
    match id.as_u64() {
        Some(id) => assert!(matches!(answer, Ok(Message::Reply { id: echoed, .. }) if echoed == id)),
        None => assert!(answer.is_err(), "{answer:?} is an answer to nothing of ours"),
    }
    let asked = Message::parse(&profile.request(7, &method, Some(&params)));
    assert_eq!(asked, Ok(Message::Request { id: Value::from(7), method, params }));
}

#[derive(Debug, PartialEq)]
struct Heard {
    events: Vec<Event>,
    written: Vec<u8>,
    error: Option<ProtocolError>,
}

/// A session with some requests under way hears the stream, to its end or to an error, and is then cut off.
fn converse(profile: Profile, bytes: &[u8], piece: usize) -> Heard {
    let mut session = Session::new(profile);
    let deadline = Instant::now() + Duration::from_secs(3600);
    for id in 0..REQUESTS {
        session.submit(id, "m", None, deadline).expect("a small request with an id of its own is accepted");
    }
    let count = session.transmit().len();
    session.transmitted(count);
    let (mut events, mut error) = (Vec::new(), None);
    for part in bytes.chunks(piece) {
        if let Err(broken) = session.receive(part, &mut events) {
            error = Some(broken);
            break;
        }
    }
    let written = session.transmit().to_vec();
    let mut lost = Vec::new();
    session.disconnected(&mut lost);
    // Those of a table without an order.
    lost.sort_by_key(|event| match event {
        Event::Settled { id, .. } => *id,
        Event::Notified { .. } => u64::MAX,
    });
    events.extend(lost);
    Heard { events, written, error }
}

/// Each request is settled exactly once, by whatever the peer sends or by the end.
fn assert_settled_once(events: &[Event]) {
    let mut settled = BTreeSet::new();
    for event in events {
        if let Event::Settled { id, outcome } = event {
            assert!(settled.insert(*id), "request {id} was settled twice");
            assert!(!matches!(outcome, Outcome::TimedOut(_)), "no clock was read");
        }
    }
    assert_eq!(settled, (0..REQUESTS).collect());
}
