//! Tells apart what a peer may send: a reply, a request of its own, a notification.

use std::fmt;

use serde_json::{Map, Value};

/// One object of the stream, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The answer to one of our requests.
    Reply {
        /// The id of the request, echoed.
        id: u64,
        /// The result, or the error object in the dialect's own shape.
        outcome: Result<Value, Value>,
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

impl Message {
    /// Reads one frame.
    ///
    /// # Errors
    /// [`MessageError`] when the frame is no JSON-RPC message of version 1.0 or 2.0.
    pub fn parse(frame: &[u8]) -> Result<Self, MessageError> {
        let mut members: Map<String, Value> =
            serde_json::from_slice(frame).map_err(|error| MessageError::NotJson(error.to_string()))?;
        match members.remove("method") {
            Some(Value::String(method)) => Ok(Self::call(method, &mut members)),
            Some(_) => Err(MessageError::NoMessage),
            None => Self::reply(members),
        }
    }

    fn call(method: String, members: &mut Map<String, Value>) -> Self {
        let params = members.remove("params").unwrap_or_default();
        match members.remove("id").unwrap_or_default() {
            Value::Null => Self::Notification { method, params },
            id => Self::Request { id, method, params },
        }
    }

    fn reply(mut members: Map<String, Value>) -> Result<Self, MessageError> {
        let error = members.remove("error").filter(|error| !error.is_null());
        let result = members.remove("result");
        let outcome = match (error, result) {
            (Some(error), _) => Err(error),
            (None, Some(result)) => Ok(result),
            (None, None) => return Err(MessageError::NoMessage),
        };
        match members.get("id").and_then(Value::as_u64) {
            Some(id) => Ok(Self::Reply { id, outcome }),
            None => Err(MessageError::UnknownId(match outcome {
                Ok(value) | Err(value) => value.to_string(),
            })),
        }
    }
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
        assert_eq!(result, Ok(Message::Reply { id: 7, outcome: Ok(Value::Null) }));
        let refused =
            parse(&json!({"jsonrpc": "2.0", "id": 8, "error": {"code": -19, "message": "No such device"}}));
        let error = json!({"code": -19, "message": "No such device"});
        assert_eq!(refused, Ok(Message::Reply { id: 8, outcome: Err(error) }));
    }

    #[test]
    fn a_reply_of_version_one_has_both_and_null_means_absent() {
        let result = parse(&json!({"id": 1, "result": [], "error": null}));
        assert_eq!(result, Ok(Message::Reply { id: 1, outcome: Ok(json!([])) }));
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
