//! What every connection class does alike: futures, ids, deadlines, one submission for each turn of the loop.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonrpc::Profile;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use transport::{Connection, Request};

use crate::convert;
use crate::delivery::{Interpreter, Mailbox, Postman};
use crate::error::NotSentError;
use crate::request_id::RequestIds;
use crate::runtime;

#[derive(Debug)]
struct State {
    ids: RequestIds,
    /// `None` once closed.
    connection: Option<Connection>,
    /// Requests of this turn of the event loop: they leave together when it ends.
    ready: Vec<Request>,
}

/// The Python side of one connection.
#[derive(Debug)]
pub(crate) struct Channel {
    mailbox: Arc<Mailbox>,
    state: Mutex<State>,
}

impl Channel {
    pub(crate) fn open(
        path: PathBuf,
        profile: Profile,
        interpreter: impl Interpreter,
        listener: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let mailbox = Mailbox::new(listener)?;
        let postman = Postman::new(interpreter, Arc::clone(&mailbox));
        let connection = Connection::spawn(&runtime::handle()?, path, profile, postman);
        let state = State { ids: RequestIds::new(), connection: Some(connection), ready: Vec::new() };
        Ok(Self { mailbox, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.state().ids.next()
    }

    /// A future for the outcome, `reply` where there is one. What `flush` gives is called once, at the end of this turn
    /// of the loop.
    pub(crate) fn call<'py>(
        &self,
        py: Python<'py>,
        (id, method): (u64, &str),
        params: Option<&Bound<'py, PyAny>>,
        timeout_s: f64,
        reply: Option<Bound<'py, PyAny>>,
        flush: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = self.event_loop(py, reply.as_ref())?;
        let params = params.map(convert::to_json).transpose()?;
        let request = Request { id, method: method.to_owned(), params, deadline: deadline(timeout_s)? };
        let future = match reply {
            Some(reply) => reply,
            None => event_loop.call_method0(intern!(py, "create_future"))?,
        };
        let first = {
            let mut state = self.state();
            if state.connection.is_none() {
                return Err(NotSentError::new_err(("the client was closed",)));
            }
            state.ready.push(request);
            state.ready.len() == 1
        };
        self.mailbox.expect(id, future.clone().unbind());
        if first {
            event_loop.call_method1(intern!(py, "call_soon"), (flush()?,))?;
        }
        Ok(future)
    }

    /// The running event loop, which is that of a reply.
    fn event_loop<'py>(
        &self,
        py: Python<'py>,
        reply: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let running = match reply {
            Some(reply) => reply.call_method0(intern!(py, "get_loop"))?,
            None => GET.import(py, "asyncio", "get_running_loop")?.call0()?,
        };
        let event_loop = self.mailbox.event_loop(running)?;
        event_loop.ok_or_else(|| PyRuntimeError::new_err("this connection belongs to another event loop"))
    }

    /// Hands over the requests of this turn.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        let ready = std::mem::take(&mut state.ready);
        if let Some(connection) = state.connection.as_ref().filter(|_| !ready.is_empty()) {
            // False only when the interpreter is about to end.
            let _ = connection.submit(ready);
        }
    }

    /// The caller waits no longer.
    pub(crate) fn forget(&self, id: u64) {
        drop(self.mailbox.forget(id));
        let mut state = self.state();
        if let Some(at) = state.ready.iter().position(|request| request.id == id) {
            state.ready.remove(at);
        } else if let Some(connection) = &state.connection {
            connection.forget(id);
        }
    }

    /// Closes the socket; requests under way fail with what is known of them.
    pub(crate) fn close(&self) {
        self.flush();
        self.state().connection = None;
    }
}

fn deadline(timeout_s: f64) -> PyResult<Instant> {
    let timeout =
        Duration::try_from_secs_f64(timeout_s).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let deadline = Instant::now().checked_add(timeout);
    deadline.ok_or_else(|| PyValueError::new_err(format!("a timeout of {timeout_s} s has no end")))
}
