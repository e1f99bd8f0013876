//! What differs between one JSON-RPC dialect and another, as data.

use serde::Serialize;
use serde_json::{Value, json};

use crate::frame::Limits;

/// The envelope of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// JSON-RPC 1.0 (OVSDB, RFC 7047 section 4): `params` always, `error` and `result` both.
    V1,
    /// JSON-RPC 2.0 (SPDK): member `jsonrpc`, `params` left out when there are none.
    V2,
}

/// How much may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Requests sent and not answered.
    pub max_requests: usize,
    /// Bytes handed over for writing and not written: of requests, unless one alone is larger, and of replies.
    pub max_unsent_bytes: usize,
}

/// One dialect.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The envelope.
    pub version: Version,
    /// The largest request that the peer reads, in bytes.
    pub max_request_bytes: usize,
    /// What is under way at once.
    pub window: Window,
    /// What a message of the peer may cost.
    pub limits: Limits,
    /// The result for a request of the peer, by method and parameters; `None` if it is not known.
    pub answer: fn(&str, &Value) -> Option<Value>,
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    jsonrpc: Option<&'a str>,
    id: u64,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a Value>,
}

impl Profile {
    /// The bytes of a request.
    #[must_use]
    pub fn request(&self, id: u64, method: &str, params: Option<&Value>) -> Vec<u8> {
        let none = json!([]);
        let message = match self.version {
            Version::V1 => Request { jsonrpc: None, id, method, params: Some(params.unwrap_or(&none)) },
            Version::V2 => Request { jsonrpc: Some("2.0"), id, method, params },
        };
        // Only a map whose keys are no strings cannot be written, and a JSON value has none.
        serde_json::to_vec(&message).unwrap_or_default()
    }

    /// The bytes of the reply to a request of the peer.
    #[must_use]
    pub fn reply(&self, id: &Value, method: &str, params: &Value) -> Vec<u8> {
        let result = (self.answer)(method, params);
        let message = match (self.version, result) {
            (Version::V1, Some(result)) => json!({"id": id, "result": result, "error": null}),
            (Version::V1, None) => json!({"id": id, "result": null, "error": "unknown method"}),
            (Version::V2, Some(result)) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            (Version::V2, None) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "Method not found"}})
            }
        };
        message.to_string().into_bytes()
    }
}
