//! Tells apart what a peer may send: a reply, a request of its own, a notification.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::text::Text;

/// One object of the stream, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The answer to one of our requests.
    Reply {
        /// The id of the request, echoed.
        id: u64,
        /// The result, unread, or the error object in the dialect's own shape.
        outcome: Result<Text, Value>,
    },
    /// A request of the peer, which expects an answer (OVSDB's `echo`).
    Request {
        /// Any JSON value but null; to be echoed verbatim.
        id: Value,
        /// The method called.
        method: String,
        /// Its parameters, null when absent.
        params: Value,
    },
    /// A message that expects no answer (OVSDB's `update2`).
    Notification {
        /// What happened.
        method: String,
        /// Its parameters, null when absent.
        params: Value,
    },
}

/// An object that is no JSON-RPC message. The stream behind it cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// Not JSON at all, with the parser's explanation.
    NotJson(String),
    /// A reply whose id is none of ours; SPDK sends `"id": null` for a request that it could not read.
    UnknownId(String),
    /// Neither a method nor a result nor an error.
    NoMessage,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(why) => write!(f, "not JSON: {why}"),
            Self::UnknownId(reply) => write!(f, "a reply that belongs to no request: {reply}"),
            Self::NoMessage => write!(f, "a JSON object that is neither request nor reply"),
        }
    }
}

impl std::error::Error for MessageError {}

/// The members of a message that count, unread. A member that is null is there all the same.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Message {
    /// Reads one frame.
    ///
    /// # Errors
    /// [`MessageError`] when the frame is no JSON-RPC message of version 1.0 or 2.0.
    pub fn parse(frame: &[u8]) -> Result<Self, MessageError> {
        let members: Members = serde_json::from_slice(frame).map_err(not_json)?;
        match members.method {
            Some(method) => Self::call(method, &members),
            None => Self::reply(&members),
        }
    }

    fn call(method: &RawValue, members: &Members) -> Result<Self, MessageError> {
        let Value::String(method) = read(method)? else { return Err(MessageError::NoMessage) };
        let params = members.params.map_or(Ok(Value::Null), read)?;
        Ok(match members.id.map_or(Ok(Value::Null), read)? {
            Value::Null => Self::Notification { method, params },
            id => Self::Request { id, method, params },
        })
    }

    fn reply(members: &Members) -> Result<Self, MessageError> {
        let error = members.error.filter(|error| error.get() != "null");
        let (outcome, text) = match (error, members.result) {
            (Some(error), _) => (Err(read(error)?), error),
            (None, Some(result)) => (Ok(result.into()), result),
            (None, None) => return Err(MessageError::NoMessage),
        };
        match members.id.and_then(|id| id.get().parse().ok()) {
            Some(id) => Ok(Self::Reply { id, outcome }),
            None => Err(MessageError::UnknownId(text.get().to_owned())),
        }
    }
}

fn read(raw: &RawValue) -> Result<Value, MessageError> {
    serde_json::from_str(raw.get()).map_err(not_json)
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
fn not_json(error: serde_json::Error) -> MessageError {
    MessageError::NotJson(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<Message, MessageError> {
        Message::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_reply_of_version_two_has_a_result_or_an_error() {
        let result = parse(&json!({"jsonrpc": "2.0", "id": 7, "result": null}));
        assert_eq!(result, Ok(Message::Reply { id: 7, outcome: Ok(Value::Null.into()) }));
        let refused =
            parse(&json!({"jsonrpc": "2.0", "id": 8, "error": {"code": -19, "message": "No such device"}}));
        let error = json!({"code": -19, "message": "No such device"});
        assert_eq!(refused, Ok(Message::Reply { id: 8, outcome: Err(error) }));
    }

    #[test]
    fn a_reply_of_version_one_has_both_and_null_means_absent() {
        let result = parse(&json!({"id": 1, "result": [], "error": null}));
        assert_eq!(result, Ok(Message::Reply { id: 1, outcome: Ok(json!([]).into()) }));
        let refused = parse(&json!({"id": 1, "result": null, "error": "unknown database"}));
        assert_eq!(refused, Ok(Message::Reply { id: 1, outcome: Err(json!("unknown database")) }));
    }

    #[test]
    fn a_call_with_null_id_is_a_notification() {
        let update = parse(&json!({"id": null, "method": "update2", "params": [1]}));
        assert_eq!(update, Ok(Message::Notification { method: "update2".into(), params: json!([1]) }));
        let echo = parse(&json!({"id": "echo", "method": "echo", "params": []}));
        assert_eq!(
            echo,
            Ok(Message::Request { id: json!("echo"), method: "echo".into(), params: json!([]) })
        );
    }

    #[test]
    fn an_error_without_an_id_of_ours_belongs_to_nobody() {
        let orphan = parse(
            &json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "Parse error"}}),
        );
        assert!(matches!(orphan, Err(MessageError::UnknownId(_))));
    }

    #[test]
    fn other_objects_are_refused() {
        assert_eq!(parse(&json!({"id": 1})), Err(MessageError::NoMessage));
        assert_eq!(parse(&json!({"id": 1, "method": 2})), Err(MessageError::NoMessage));
        assert!(matches!(Message::parse(b"{\"id\" 1}"), Err(MessageError::NotJson(_))));
    }
}
