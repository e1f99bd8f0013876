//! OVSDB, RFC 7047 and the `monitor_cond` extension of ovsdb-server(7), without I/O.
//!
//! * [`schema`] reads the types of columns; [`datum`] reads and writes values by them.
//! * [`replica`] keeps chosen tables as the server last told them, from `update` and `update2`.
//! * [`transact`] finds the failed operation in a reply that, as a whole, says success.

#![forbid(unsafe_code)]

pub mod datum;
pub mod replica;
pub mod schema;
pub mod transact;
pub mod uuid;

use jsonrpc::{Limits, Profile, Version, Window};

pub use datum::{Atom, Datum};
pub use replica::{Change, Replica, Row};
pub use schema::{ColumnType, Schema};
pub use transact::OperationFailed;
pub use uuid::Uuid;

/// The dialect of an ovsdb-server. It probes a silent client with `echo` and drops it if that is not answered
/// (RFC 7047, section 4.1.11).
#[must_use]
pub const fn profile() -> Profile {
    Profile {
        version: Version::V1,
        max_request_bytes: 16 * 1024 * 1024,
        window: Window { max_requests: 64, max_unsent_bytes: 256 * 1024 - 1 },
        limits: Limits { max_depth: 64, max_bytes: 256 * 1024 * 1024 },
        answer: |method, params| (method == "echo").then(|| params.clone()),
    }
}

/// Something of the server that does not read as OVSDB, with where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// The error of a whole request as text: a string, or an object with `error` and `details`.
#[must_use]
pub fn error_text(error: &serde_json::Value) -> (String, String) {
    let member = |name| error.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    match error.as_str() {
        Some(text) => (text.to_owned(), String::new()),
        None => (member("error"), member("details")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_come_in_two_shapes() {
        assert_eq!(error_text(&json!("unknown database")), ("unknown database".into(), String::new()));
        let object = json!({"error": "syntax error", "details": "no such table"});
        assert_eq!(error_text(&object), ("syntax error".into(), "no such table".into()));
    }

    #[test]
    fn echo_is_answered_with_its_parameters() {
        assert_eq!((profile().answer)("echo", &json!([1])), Some(json!([1])));
        assert_eq!((profile().answer)("steal", &json!([1])), None);
    }
}
