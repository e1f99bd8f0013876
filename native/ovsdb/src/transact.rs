//! The reply to `transact` (RFC 7047, section 4.1.3).
//!
//! Its top-level error is null even when the transaction was aborted: the failure hides in the array, as the
//! first element that is an error, or as an extra last one when the commit itself failed.

use std::fmt;

use serde_json::Value;

use crate::Malformed;

/// A transaction that was aborted: nothing of it took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationFailed {
    /// Position of the operation; equal to their number when the commit failed.
    pub index: usize,
    /// The error's name, such as `constraint violation`.
    pub error: String,
    /// The server's explanation; may be empty.
    pub details: String,
}

impl fmt::Display for OperationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {} failed: {} ({})", self.index, self.error, self.details)
    }
}

impl std::error::Error for OperationFailed {}

/// Why a reply is not the results of a committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactError {
    /// The server aborted it.
    Failed(OperationFailed),
    /// The reply does not read.
    Malformed(Malformed),
}

/// Looks whether a reply is the results of all `operations`.
///
/// # Errors
/// [`TransactError`], for the first error among them.
pub fn check(reply: &Value, operations: usize) -> Result<(), TransactError> {
    let malformed = |why: String| TransactError::Malformed(Malformed(why));
    let Value::Array(results) = reply else {
        return Err(malformed(format!("the reply to transact is no array: {reply}")));
    };
    if let Some((index, failed)) =
        results.iter().enumerate().find(|(_, result)| result.get("error").is_some())
    {
        let (error, details) = crate::error_text(failed);
        return Err(TransactError::Failed(OperationFailed { index, error, details }));
    }
    if results.len() != operations || results.iter().any(Value::is_null) {
        return Err(malformed(format!("{} results for {operations} operations", results.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn success_has_a_result_of_each_operation() {
        let reply = json!([{"uuid": ["uuid", "u"]}, {"count": 1}]);
        assert_eq!(check(&reply, 2), Ok(()));
    }

    #[test]
    fn a_failed_operation_hides_among_results() {
        let reply =
            json!([{"count": 1}, {"error": "constraint violation", "details": "duplicate name"}, null]);
        let failed = OperationFailed {
            index: 1,
            error: "constraint violation".into(),
            details: "duplicate name".into(),
        };
        assert_eq!(check(&reply, 3), Err(TransactError::Failed(failed)));
    }

    #[test]
    fn a_failed_commit_is_one_result_more() {
        let reply = json!([{"count": 1}, {"error": "referential integrity violation", "details": ""}]);
        assert!(matches!(check(&reply, 1), Err(TransactError::Failed(OperationFailed { index: 1, .. }))));
    }

    #[test]
    fn missing_results_are_not_taken_for_success() {
        assert!(matches!(check(&json!([{}]), 2), Err(TransactError::Malformed(_))));
        assert!(matches!(check(&json!([null]), 1), Err(TransactError::Malformed(_))));
        assert!(matches!(check(&json!({}), 0), Err(TransactError::Malformed(_))));
    }
}
