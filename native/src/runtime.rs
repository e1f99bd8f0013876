//! The one worker thread.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// The runtime of this process, started with the first connection.
pub(crate) fn handle() -> PyResult<Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = runtime.as_ref() {
        return Ok(runtime.handle().clone());
    }
    let started = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("southbound")
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| PyRuntimeError::new_err(format!("cannot start the southbound worker: {error}")))?;
    Ok(runtime.insert(started).handle().clone())
}

/// Ends the worker before the interpreter: its tasks hold Python objects, which nobody may drop once there is none.
#[pyfunction]
fn stop(py: Python<'_>) {
    let runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(runtime) = runtime {
        py.detach(|| runtime.shutdown_timeout(STOP_TIMEOUT));
    }
}

pub(crate) fn stop_at_exit(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let stop = wrap_pyfunction!(stop, module)?;
    module.py().import("atexit")?.call_method1("register", (stop,))?;
    Ok(())
}
