//! Brings what a connection tells to the event loop.
//!
//! The worker gathers news and posts them as one callback; futures are completed, and JSON becomes Python, on
//! the loop's own thread. So the worker needs the GIL only to post, and no lock is ever held while waiting
//! for it.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jsonrpc::Text;
use pyo3::intern;
use pyo3::prelude::*;
use serde_json::Value;
use transport::{Settlement, Sink};

use crate::convert;
use crate::error::Failure;

/// What a dialect makes of replies and notifications. Runs on the worker, without the GIL.
pub(crate) trait Interpreter: Send + 'static {
    /// The result for the caller.
    fn settled(&mut self, id: u64, settlement: Settlement) -> Result<Text, Failure>;

    /// Takes in a notification; true when listeners should look.
    fn notified(&mut self, method: &str, params: &Value) -> Result<bool, String>;
}

/// The side of a connection that lives on the event loop.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    event_loop: OnceLock<Py<PyAny>>,
    futures: Mutex<HashMap<u64, Py<PyAny>>>,
    /// Called with the cause of a lost connection, or with None when monitored rows changed.
    listener: OnceLock<Py<PyAny>>,
}

impl Mailbox {
    pub(crate) fn with_listener(listener: Option<Py<PyAny>>) -> Arc<Self> {
        let mailbox = Self::default();
        if let Some(listener) = listener {
            // A new cell takes its first value.
            let _ = mailbox.listener.set(listener);
        }
        Arc::new(mailbox)
    }

    /// The event loop of the first caller; every later one must run on it too.
    pub(crate) fn event_loop<'py>(&self, running: Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        let known = self.event_loop.get_or_init(|| running.clone().unbind());
        known.is(&running).then_some(running)
    }

    pub(crate) fn expect(&self, id: u64, future: Py<PyAny>) {
        self.futures().insert(id, future);
    }

    pub(crate) fn forget(&self, id: u64) -> Option<Py<PyAny>> {
        self.futures().remove(&id)
    }

    fn futures(&self) -> MutexGuard<'_, HashMap<u64, Py<PyAny>>> {
        self.futures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct News {
    settled: Vec<(u64, Result<Text, Failure>)>,
    changed: bool,
    disconnected: Option<String>,
}

impl News {
    fn is_empty(&self) -> bool {
        self.settled.is_empty() && !self.changed && self.disconnected.is_none()
    }
}

/// The callback posted to the loop.
#[pyclass]
struct Batch {
    mailbox: Arc<Mailbox>,
    news: News,
}

#[pymethods]
impl Batch {
    fn __call__(&mut self, py: Python<'_>) -> PyResult<()> {
        let News { settled, changed, disconnected } = mem::take(&mut self.news);
        // The listener hears of the loss before the callers do, who may ask again at once. Whatever it raises, and
        // whatever a future does, those that wait get their outcome first.
        let told = disconnected.map_or(Ok(()), |cause| self.tell(py, Some(cause)));
        let completed = settled.into_iter().map(|(id, result)| {
            // None: the caller was cancelled meanwhile.
            let future = self.mailbox.forget(id);
            future.map_or(Ok(()), |future| complete(future.bind(py), result))
        });
        let completed = completed.fold(Ok(()), PyResult::and);
        let changed = if changed { self.tell(py, None) } else { Ok(()) };
        told.and(completed).and(changed)
    }
}

impl Batch {
    fn tell(&self, py: Python<'_>, lost: Option<String>) -> PyResult<()> {
        self.mailbox.listener.get().map_or(Ok(()), |listener| listener.call1(py, (lost,)).map(drop))
    }
}

fn complete(future: &Bound<'_, PyAny>, result: Result<Text, Failure>) -> PyResult<()> {
    let py = future.py();
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    match result.and_then(|text| convert::from_json(py, &text)).map_err(Failure::into_exception) {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
    };
    Ok(())
}

/// The worker's end of a [`Mailbox`].
pub(crate) struct Postman<I> {
    interpreter: I,
    mailbox: Arc<Mailbox>,
    news: News,
}

impl<I> Postman<I> {
    pub(crate) fn new(interpreter: I, mailbox: Arc<Mailbox>) -> Self {
        Self { interpreter, mailbox, news: News::default() }
    }
}

impl<I: Interpreter> Sink for Postman<I> {
    fn settled(&mut self, id: u64, settlement: Settlement) {
        let result = self.interpreter.settled(id, settlement);
        self.news.settled.push((id, result));
    }

    fn notified(&mut self, method: &str, params: &Value) -> Result<(), String> {
        self.news.changed |= self.interpreter.notified(method, params)?;
        Ok(())
    }

    fn disconnected(&mut self, cause: &str) {
        self.news.disconnected = Some(cause.to_owned());
    }

    fn flush(&mut self) {
        if self.news.is_empty() {
            return;
        }
        let news = mem::take(&mut self.news);
        // An interpreter that is ending and a loop that is closed have no one who waits.
        let _ = Python::try_attach(|py| -> PyResult<()> {
            let Some(event_loop) = self.mailbox.event_loop.get() else { return Ok(()) };
            let batch = Batch { mailbox: Arc::clone(&self.mailbox), news };
            event_loop.call_method1(py, "call_soon_threadsafe", (Bound::new(py, batch)?,)).map(drop)
        });
    }
}
