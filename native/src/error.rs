//! Every error that reaches Python, and the only place that makes one of a Rust error.
//!
//! The exceptions carry plain arguments; `dpu_handler.southbound.errors` gives them names, the method and the
//! next step.

use jsonrpc::{Executed, SubmitError, Text};
use ovsdb::transact::TransactError;
use ovsdb::{Malformed, OperationFailed};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use spdk::Refusal;
use transport::Settlement;

create_exception!(dpu_handler._native, NativeError, PyException, "Base of what this module raises.");
create_exception!(
    dpu_handler._native,
    RefusedError,
    NativeError,
    "The peer refused: (code, name of the code, message)."
);
create_exception!(
    dpu_handler._native,
    OperationFailedError,
    NativeError,
    "A transaction aborted: (index, error, details)."
);
create_exception!(dpu_handler._native, NotSentError, NativeError, "The request never left: (cause,).");
create_exception!(
    dpu_handler._native,
    OutcomeUnknownError,
    NativeError,
    "No reply to a request that left: (cause,)."
);
create_exception!(
    dpu_handler._native,
    DeadlinePassedError,
    NativeError,
    "Time is up: (whether it may have been executed,)."
);
create_exception!(dpu_handler._native, MalformedError, NativeError, "A reply that does not read: (cause,).");
create_exception!(
    dpu_handler._native,
    TooLargeError,
    NativeError,
    "Not sent for its size: (size_bytes, limit_bytes)."
);

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    OvsdbRefused { error: String, details: String },
    OperationFailed(OperationFailed),
    Lost { executed: Executed, cause: String },
    TimedOut(Executed),
    Rejected(SubmitError),
    Malformed(String),
}

impl Failure {
    /// The failures that mean the same in every dialect; a result or the dialect's own error otherwise.
    pub(crate) fn of(settlement: Settlement) -> Result<Result<Text, serde_json::Value>, Self> {
        match settlement {
            Settlement::Result(result) => Ok(Ok(result)),
            Settlement::Error(error) => Ok(Err(error)),
            Settlement::TimedOut(executed) => Err(Self::TimedOut(executed)),
            Settlement::Lost { executed, cause } => Err(Self::Lost { executed, cause }),
            Settlement::Rejected(error) => Err(Self::Rejected(error)),
        }
    }

    pub(crate) fn into_exception(self) -> PyErr {
        match self {
            Self::Refused(Refusal { code, message }) => {
                RefusedError::new_err((code, spdk::condition(code).unwrap_or_default(), message))
            }
            Self::OvsdbRefused { error, details } => RefusedError::new_err((0, error, details)),
            Self::OperationFailed(OperationFailed { index, error, details }) => {
                OperationFailedError::new_err((index, error, details))
            }
            Self::Lost { executed: Executed::No, cause } => NotSentError::new_err((cause,)),
            Self::Lost { executed: Executed::Unknown, cause } => OutcomeUnknownError::new_err((cause,)),
            Self::TimedOut(executed) => DeadlinePassedError::new_err((executed == Executed::Unknown,)),
            Self::Rejected(SubmitError::TooLarge { size_bytes, limit_bytes }) => {
                TooLargeError::new_err((size_bytes, limit_bytes))
            }
            Self::Rejected(error @ SubmitError::DuplicateId(_)) => {
                NotSentError::new_err((error.to_string(),))
            }
            Self::Malformed(why) => MalformedError::new_err((why,)),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed(format!("a result that does not read: {error}"))
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error.0)
    }
}

impl From<TransactError> for Failure {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Failed(failed) => Self::OperationFailed(failed),
            TransactError::Malformed(error) => error.into(),
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("NativeError", py.get_type::<NativeError>())?;
    module.add("RefusedError", py.get_type::<RefusedError>())?;
    module.add("OperationFailedError", py.get_type::<OperationFailedError>())?;
    module.add("NotSentError", py.get_type::<NotSentError>())?;
    module.add("OutcomeUnknownError", py.get_type::<OutcomeUnknownError>())?;
    module.add("DeadlinePassedError", py.get_type::<DeadlinePassedError>())?;
    module.add("MalformedError", py.get_type::<MalformedError>())?;
    module.add("TooLargeError", py.get_type::<TooLargeError>())
}
