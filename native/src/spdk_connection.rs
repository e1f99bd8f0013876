//! A connection to an SPDK target, or to whatever speaks like one.

use std::path::PathBuf;

use jsonrpc::Text;
use pyo3::intern;
use pyo3::prelude::*;
use serde_json::Value;
use transport::Settlement;

use crate::channel::Channel;
use crate::delivery::Interpreter;
use crate::error::Failure;

struct Spdk;

impl Interpreter for Spdk {
    fn settled(&mut self, _id: u64, settlement: Settlement) -> Result<Text, Failure> {
        match Failure::of(settlement) {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(match spdk::refusal(&error) {
                Ok(refusal) => Failure::Refused(refusal),
                Err(other) => {
                    Failure::Malformed(format!("an error object without code and message: {other}"))
                }
            }),
            Err(Failure::Lost { executed: jsonrpc::Executed::Unknown, cause }) => {
                let cause = format!("{cause} ({})", spdk::SILENT_CLOSE);
                Err(Failure::Lost { executed: jsonrpc::Executed::Unknown, cause })
            }
            Err(failure) => Err(failure),
        }
    }

    fn notified(&mut self, _method: &str, _params: &Value) -> Result<bool, String> {
        // SPDK's notifications are polled; one that comes by itself concerns nobody here.
        Ok(false)
    }
}

/// One persistent connection. It is made with the first request, and anew with the first after a loss.
#[pyclass(frozen, module = "dpu_handler._native")]
pub(crate) struct SpdkConnection(Channel);

#[pymethods]
impl SpdkConnection {
    #[new]
    fn new(path: PathBuf) -> PyResult<Self> {
        Channel::open(path, spdk::profile(), Spdk, None).map(Self)
    }

    fn next_id(&self) -> u64 {
        self.0.next_id()
    }

    #[pyo3(signature = (request_id, method, params, timeout_s, reply=None))]
    fn call<'py>(
        slf: &Bound<'py, Self>,
        request_id: u64,
        method: &str,
        params: Option<&Bound<'py, PyAny>>,
        timeout_s: f64,
        reply: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.get().0.call(slf.py(), (request_id, method), params, timeout_s, reply, || {
            slf.getattr(intern!(slf.py(), "flush"))
        })
    }

    fn flush(&self) {
        self.0.flush();
    }

    fn forget(&self, request_id: u64) {
        self.0.forget(request_id);
    }

    fn close(&self) {
        self.0.close();
    }
}
