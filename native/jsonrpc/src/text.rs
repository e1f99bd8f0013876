//! A JSON value that nobody has read yet.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value as it was written. A result is kept so on its way from the socket to its caller, who alone knows what to
/// make of it: it is read once, and not into values that would be thrown away.
#[derive(Clone)]
pub struct Text(Box<RawValue>);

impl Text {
    /// The text, well-formed but for the escapes within its strings.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value, read.
    ///
    /// # Errors
    /// When a string of it is no Unicode, or it nests deeper than `serde_json` reads.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

impl From<&RawValue> for Text {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }
}

impl From<Value> for Text {
    fn from(value: Value) -> Self {
        // A value that was read, or made here, can be written.
        Self(RawValue::from_string(value.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
