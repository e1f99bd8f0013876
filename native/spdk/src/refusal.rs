//! The error object of an SPDK reply.

use serde_json::Value;

/// A request that the target read and did not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A JSON-RPC code (-32xxx) or a negative errno, as the method chose.
    pub code: i64,
    /// The target's words.
    pub message: String,
}

impl Refusal {
    pub(crate) fn parse(error: &Value) -> Option<Self> {
        let code = error.get("code")?.as_i64()?;
        let message = error.get("message")?.as_str()?.to_owned();
        Some(Self { code, message })
    }
}

/// The name of a code: the errno's, or that of the JSON-RPC specification (section 5.1). For messages only: SPDK
/// uses -32602 and -32603 for "exists", "missing" and "busy" alike, so that nothing can be decided from them.
#[must_use]
pub fn condition(code: i64) -> Option<&'static str> {
    Some(match code {
        -1 => "EPERM",
        -2 => "ENOENT",
        -5 => "EIO",
        -11 => "EAGAIN",
        -12 => "ENOMEM",
        -16 => "EBUSY",
        -17 => "EEXIST",
        -19 => "ENODEV",
        -22 => "EINVAL",
        -28 => "ENOSPC",
        -84 => "EILSEQ",
        -110 => "ETIMEDOUT",
        -114 => "EALREADY",
        -32600 => "invalid request",
        -32601 => "method not found",
        -32602 => "invalid parameters",
        -32603 => "internal error",
        -32700 => "parse error",
        -1000..=-1 => "errno",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_recorded_shape_is_read() {
        let refusal = Refusal::parse(&json!({"code": -19, "message": "No such device"}));
        assert_eq!(refusal, Some(Refusal { code: -19, message: "No such device".into() }));
    }

    #[test]
    fn other_shapes_are_not_guessed() {
        for error in [json!("x"), json!({"code": "-19", "message": "x"}), json!({"code": -19})] {
            assert_eq!(crate::refusal(&error), Err(&error));
        }
    }

    #[test]
    fn codes_have_names() {
        assert_eq!(condition(-19), Some("ENODEV"));
        assert_eq!(condition(-32602), Some("invalid parameters"));
        assert_eq!(condition(7), None);
    }
}
