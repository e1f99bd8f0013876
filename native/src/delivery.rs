//! Brings what a connection tells to the event loop.
//!
//! The worker puts news into a [`Mailbox`] and rings a bell, a socket that the loop watches; futures are completed, and
//! JSON becomes Python, on the loop's own thread. So the worker never needs the GIL: to ask for it would be to wait until
//! the loop, which it has just woken, sleeps again.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
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

/// Wakes the event loop.
#[derive(Debug)]
struct Bell {
    near: UnixStream,
    far: UnixStream,
}

impl Bell {
    fn new() -> io::Result<Self> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok(Self { near, far })
    }

    fn ring(&self) {
        // Full: it rings already.
        let _ = (&self.far).write(&[1]);
    }

    /// What the loop watches: readable while it rings.
    fn fd(&self) -> RawFd {
        self.near.as_raw_fd()
    }

    fn silence(&self) {
        // Whatever is left makes it ring once more.
        let _ = (&self.near).read(&mut [0; 16]);
    }
}

/// The side of a connection that lives on the event loop.
#[derive(Debug)]
pub(crate) struct Mailbox {
    event_loop: OnceLock<Py<PyAny>>,
    futures: Mutex<HashMap<u64, Py<PyAny>>>,
    /// Called with the cause of a lost connection, or with None when monitored rows changed.
    listener: Option<Py<PyAny>>,
    bell: Bell,
    /// What the loop has not fetched yet.
    news: Mutex<Vec<News>>,
}

impl Mailbox {
    pub(crate) fn new(listener: Option<Py<PyAny>>) -> io::Result<Arc<Self>> {
        let bell = Bell::new()?;
        Ok(Arc::new(Self {
            event_loop: OnceLock::new(),
            futures: Mutex::default(),
            listener,
            bell,
            news: Mutex::default(),
        }))
    }

    /// The event loop of the first caller, which watches from then on; every later one must run on it too.
    pub(crate) fn event_loop<'py>(
        self: &Arc<Self>,
        running: Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(known) = self.event_loop.get() {
            return Ok(known.is(&running).then_some(running));
        }
        let (py, fd) = (running.py(), self.bell.fd());
        let postbox = Bound::new(py, Delivery { mailbox: Arc::clone(self) })?;
        running.call_method1(intern!(py, "add_reader"), (fd, postbox))?;
        let known = self.event_loop.get_or_init(|| running.clone().unbind());
        if known.is(&running) {
            return Ok(Some(running));
        }
        running.call_method1(intern!(py, "remove_reader"), (fd,))?;
        Ok(None)
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

    fn news(&self) -> MutexGuard<'_, Vec<News>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, news: News) {
        let mut waiting = self.news();
        waiting.push(news);
        let first = waiting.len() == 1;
        drop(waiting);
        if first {
            self.bell.ring();
        }
    }
}

#[derive(Debug, Default)]
struct News {
    settled: Vec<(u64, Result<Text, Failure>)>,
    changed: bool,
    disconnected: Option<String>,
    /// Nothing comes after it.
    last: bool,
}

impl News {
    fn is_empty(&self) -> bool {
        self.settled.is_empty() && !self.changed && self.disconnected.is_none() && !self.last
    }
}

/// What the loop calls when the bell rings.
#[pyclass(frozen)]
struct Delivery {
    mailbox: Arc<Mailbox>,
}

#[pymethods]
impl Delivery {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.mailbox.bell.silence();
        let waiting = mem::take(&mut *self.mailbox.news());
        waiting.into_iter().map(|news| self.deliver(py, news)).fold(Ok(()), PyResult::and)
    }
}

impl Delivery {
    fn deliver(&self, py: Python<'_>, news: News) -> PyResult<()> {
        let News { settled, changed, disconnected, last } = news;
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
        let left = if last { self.leave(py) } else { Ok(()) };
        told.and(completed).and(changed).and(left)
    }

    fn tell(&self, py: Python<'_>, lost: Option<String>) -> PyResult<()> {
        self.mailbox.listener.as_ref().map_or(Ok(()), |listener| listener.call1(py, (lost,)).map(drop))
    }

    /// The loop watches no longer; the bell goes with the last who holds the mailbox.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        let Some(event_loop) = self.mailbox.event_loop.get() else { return Ok(()) };
        event_loop.call_method1(py, intern!(py, "remove_reader"), (self.mailbox.bell.fd(),)).map(drop)
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
        if !self.news.is_empty() {
            self.mailbox.post(mem::take(&mut self.news));
        }
    }
}

impl<I> Drop for Postman<I> {
    fn drop(&mut self) {
        self.mailbox.post(News { last: true, ..mem::take(&mut self.news) });
    }
}
