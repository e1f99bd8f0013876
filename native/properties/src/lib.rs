//! What must hold of the parsers whatever a peer sends. Each property is a function of bytes that panics when it is
//! broken: `cargo test` gives it generated and recorded bytes, `make fuzz` lets libFuzzer look for others.
//!
//! * [`stream`]: bytes of a JSON-RPC peer, in pieces of any size.
//! * [`values`]: one column's type, a value of it and a change of that value.
//! * [`tables`]: a schema, monitored columns, and updates one after the other.
//! * [`samples`]: recorded bytes to begin from.

#![forbid(unsafe_code)]

pub mod samples;
mod stream;
mod tables;
mod values;

pub use stream::stream;
pub use tables::tables;
pub use values::values;
