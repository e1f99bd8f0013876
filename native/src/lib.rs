//! `dpu_handler._native`: the Python bindings of the southbound protocols.
//!
//! Bindings only: values are converted ([`convert`]), errors mapped ([`error`]), results brought to the event
//! loop ([`delivery`]). The protocols are in the crates `jsonrpc`, `transport`, `spdk` and `ovsdb`.
//!
//! One worker thread carries every connection of the process. It never takes the GIL: it rings, and the event
//! loop fetches; neither ever waits for the other.

#![deny(unsafe_code)]

mod channel;
mod convert;
mod delivery;
mod error;
mod ovsdb_connection;
mod request_id;
mod runtime;
mod spdk_connection;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<spdk_connection::SpdkConnection>()?;
    module.add_class::<ovsdb_connection::OvsdbConnection>()?;
    error::register(module)?;
    runtime::stop_at_exit(module)
}
