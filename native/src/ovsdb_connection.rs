//! A connection to an ovsdb-server, with a replica of the tables it monitors.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonrpc::Text;
use ovsdb::{Replica, Row, Uuid};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;
use transport::Settlement;

use crate::channel::Channel;
use crate::convert;
use crate::delivery::Interpreter;
use crate::error::Failure;

/// What the reply to a request is taken for.
enum Reply {
    Results { operations: usize },
    Schema { monitored: BTreeMap<String, Vec<String>> },
    Snapshot { monitor: String },
}

/// What event loop and worker share.
#[derive(Default)]
struct Shared {
    replica: Mutex<Replica>,
    /// The monitor that the replica follows, once its snapshot is taken in. Each of its updates echoes its id
    /// (RFC 7047, section 4.1.5), and those of a monitor whose caller gave up count for nothing.
    followed: Mutex<Option<String>>,
    replies: Mutex<HashMap<u64, Reply>>,
}

impl Shared {
    fn replica(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn followed(&self) -> MutexGuard<'_, Option<String>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replies(&self) -> MutexGuard<'_, HashMap<u64, Reply>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ovsdb(Arc<Shared>);

impl Interpreter for Ovsdb {
    fn settled(&mut self, id: u64, settlement: Settlement) -> Result<Text, Failure> {
        let reply = self.0.replies().remove(&id);
        let result = Failure::of(settlement)?.map_err(|error| {
            let (error, details) = ovsdb::error_text(&error);
            Failure::OvsdbRefused { error, details }
        })?;
        match reply {
            None => Ok(result),
            Some(Reply::Results { operations }) => {
                ovsdb::transact::check(&result.read()?, operations)?;
                Ok(result)
            }
            Some(Reply::Schema { monitored }) => {
                *self.0.followed() = None;
                self.0.replica().reset(&result.read()?, &monitored)?;
                Ok(Value::Null.into())
            }
            Some(Reply::Snapshot { monitor }) => {
                self.0.replica().update2(&result.read()?)?;
                *self.0.followed() = Some(monitor);
                Ok(Value::Null.into())
            }
        }
    }

    fn notified(&mut self, method: &str, params: &Value) -> Result<bool, String> {
        let Some([monitor, updates]) = params.as_array().map(Vec::as_slice) else { return Ok(false) };
        if monitor.as_str().is_none_or(|id| self.0.followed().as_deref() != Some(id)) {
            return Ok(false);
        }
        let mut replica = self.0.replica();
        let changes = match method {
            "update" => replica.update(updates),
            "update2" => replica.update2(updates),
            _ => return Ok(false),
        };
        changes.map(|changes| !changes.is_empty()).map_err(|error| error.to_string())
    }
}

/// One persistent connection. It is made with the first request, and anew with the first after a loss.
#[pyclass(frozen, module = "dpu_handler._native")]
pub(crate) struct OvsdbConnection {
    channel: Channel,
    shared: Arc<Shared>,
}

#[pymethods]
impl OvsdbConnection {
    #[new]
    fn new(path: PathBuf, listener: Py<PyAny>) -> PyResult<Self> {
        let shared = Arc::new(Shared::default());
        let channel = Channel::open(path, ovsdb::profile(), Ovsdb(Arc::clone(&shared)), Some(listener))?;
        Ok(Self { channel, shared })
    }

    fn next_id(&self) -> u64 {
        self.channel.next_id()
    }

    fn call<'py>(
        slf: &Bound<'py, Self>,
        request_id: u64,
        method: &str,
        params: &Bound<'py, PyAny>,
        timeout_s: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.get().channel.call(slf.py(), (request_id, method), Some(params), timeout_s, None, || {
            slf.getattr(intern!(slf.py(), "flush"))
        })
    }

    fn transact<'py>(
        slf: &Bound<'py, Self>,
        request_id: u64,
        database: &str,
        operations: Vec<Bound<'py, PyAny>>,
        timeout_s: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reply = Reply::Results { operations: operations.len() };
        let params = std::iter::once(database.into_pyobject(slf.py())?.into_any()).chain(operations);
        Self::ask(slf, (request_id, "transact"), &params.collect::<Vec<_>>(), timeout_s, reply)
    }

    fn load_schema<'py>(
        slf: &Bound<'py, Self>,
        request_id: u64,
        database: &str,
        tables: BTreeMap<String, Vec<String>>,
        timeout_s: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let reply = Reply::Schema { monitored: tables };
        let params = [database.into_pyobject(slf.py())?.into_any()];
        Self::ask(slf, (request_id, "get_schema"), &params, timeout_s, reply)
    }

    fn monitor<'py>(
        slf: &Bound<'py, Self>,
        request_id: u64,
        database: &str,
        monitor: String,
        tables: BTreeMap<String, Vec<String>>,
        timeout_s: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let requests = PyDict::new(py);
        for (table, columns) in tables {
            let request = PyDict::new(py);
            request.set_item("columns", columns)?;
            requests.set_item(table, [request])?;
        }
        let params = [
            database.into_pyobject(py)?.into_any(),
            monitor.as_str().into_pyobject(py)?.into_any(),
            requests.into_any(),
        ];
        Self::ask(slf, (request_id, "monitor_cond"), &params, timeout_s, Reply::Snapshot { monitor })
    }

    fn rows<'py>(&self, py: Python<'py>, table: &str) -> PyResult<Bound<'py, PyDict>> {
        // Held rows are copied out first: making Python objects may run any code.
        let held: Vec<(Uuid, Row)> =
            self.shared.replica().rows(table).map(|(uuid, row)| (uuid, Arc::clone(row))).collect();
        let rows = PyDict::new(py);
        for (uuid, row) in held {
            rows.set_item(convert::from_uuid(py, uuid)?, convert::from_row(py, &row)?)?;
        }
        Ok(rows)
    }

    fn row<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        uuid: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let uuid = convert::to_uuid(uuid)?;
        let held = self.shared.replica().row(table, uuid).map(Arc::clone);
        held.map(|row| convert::from_row(py, &row)).transpose()
    }

    fn flush(&self) {
        self.channel.flush();
    }

    fn forget(&self, request_id: u64) {
        self.channel.forget(request_id);
        self.shared.replies().remove(&request_id);
    }

    fn close(&self) {
        self.channel.close();
    }
}

impl OvsdbConnection {
    fn ask<'py>(
        slf: &Bound<'py, Self>,
        (id, method): (u64, &str),
        params: &[Bound<'py, PyAny>],
        timeout_s: f64,
        reply: Reply,
    ) -> PyResult<Bound<'py, PyAny>> {
        let params = pyo3::types::PyList::new(slf.py(), params)?;
        slf.get().shared.replies().insert(id, reply);
        let future =
            slf.get().channel.call(slf.py(), (id, method), Some(params.as_any()), timeout_s, None, || {
                slf.getattr(intern!(slf.py(), "flush"))
            });
        if future.is_err() {
            slf.get().shared.replies().remove(&id);
        }
        future
    }
}
