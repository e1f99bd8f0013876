//! What JSON-RPC means to an SPDK target: its limits, its error objects, its silences.
//!
//! The same dialect is spoken by the device emulation of a DPU. Method names and parameters are not here:
//! they belong to the callers, one file per noun in `dpu_handler.southbound`.
//! Limits are those of a v26.09 target, as measured.

#![forbid(unsafe_code)]

mod refusal;

use jsonrpc::{Limits, Profile, Version, Window};
use serde_json::Value;

pub use refusal::{Refusal, condition};

/// The largest request sent: a target resets a connection whose request exceeds 256 KiB.
pub const MAX_REQUEST_BYTES: usize = 256 * 1024 - 1;

/// The dialect of an SPDK target.
#[must_use]
pub const fn profile() -> Profile {
    Profile {
        version: Version::V2,
        max_request_bytes: MAX_REQUEST_BYTES,
        // All complete requests of a connection run in the same poll of the target; more than this in flight
        // buys nothing and costs the target memory.
        window: Window { max_requests: 64, max_unsent_bytes: 256 * 1024 - 1 },
        // `bdev_get_bdevs` answers 1.5 KiB for each bdev: room for tens of thousands.
        limits: Limits { max_depth: 64, max_bytes: 64 * 1024 * 1024 },
        answer: |_, _| None,
    }
}

/// What a connection that the target closed without a reply may mean. SPDK closes in silence on a request that
/// it cannot read (malformed, too deep, more than 8192 values, too large), and so does a target that dies.
pub const SILENT_CLOSE: &str = "the target closes without a reply when it cannot read a request, and when it ends; \
                                requests that reached it are executed all the same";

/// The error object of a reply, read.
///
/// # Errors
/// The object itself when it has not SPDK's shape `{"code": integer, "message": string}`.
pub fn refusal(error: &Value) -> Result<Refusal, &Value> {
    Refusal::parse(error).ok_or(error)
}
