//! Bytes that real peers sent: what SPDK targets answered in the conformance suite's stories, and what an ovsdb-server
//! of Open vSwitch 3.1 told of bridges and ports that came, changed and went.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

/// One input of a property, and what to call it.
pub type Sample = (String, Vec<u8>);

/// Inputs of [`crate::stream`]: each story as one stream, once for each dialect.
///
/// # Errors
/// Those of reading the files.
pub fn streams() -> io::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for (name, text) in files("../../tests/conformance/spdk/pairs", "jsonl")? {
        let replies = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut bytes = Vec::new();
        for (id, mut line) in replies.filter(|line| line.get("response").is_some()).enumerate() {
            let mut reply = line["response"].take();
            reply["id"] = json!(id);
            bytes.extend(reply.to_string().into_bytes());
            bytes.extend(json!({"id": id, "method": "echo", "params": [name]}).to_string().into_bytes());
        }
        for choice in [0x0e, 0x81] {
            samples.push((format!("{name}-{choice:02x}"), [&[choice], bytes.as_slice()].concat()));
        }
    }
    Ok(samples)
}

/// Inputs of [`crate::tables`].
///
/// # Errors
/// Those of reading the files.
pub fn updates() -> io::Result<Vec<Sample>> {
    Ok(files("samples", "json")?.into_iter().map(|(name, text)| (name, text.into_bytes())).collect())
}

/// Inputs of [`crate::values`]: each column's type with each value that a recorded update has for it.
///
/// # Errors
/// Those of reading the files.
pub fn columns() -> io::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for (name, text) in files("samples", "json")? {
        let document: Value = serde_json::from_str(&text).map_err(io::Error::other)?;
        for (column, [kind, value]) in told(&document) {
            let input = json!([kind, value, value]).to_string().into_bytes();
            samples.push((format!("{name}-{column}-{}", samples.len()), input));
        }
    }
    Ok(samples)
}

/// Column, type and value wherever an update has one.
fn told(document: &Value) -> Vec<(String, [Value; 2])> {
    let mut found = Vec::new();
    let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for step in document["steps"].as_array().into_iter().flatten() {
        for (table, rows) in entries(step).into_values().flat_map(|updates| entries(&updates)) {
            for (column, value) in
                entries(&rows).into_values().flat_map(|row| entries(&row)).flat_map(|(_, row)| entries(&row))
            {
                let kind = &document["schema"]["tables"][&table]["columns"][&column]["type"];
                found.push((column, [kind.clone(), value]));
            }
        }
    }
    found
}

/// Name and text of each file with that ending, below this crate.
fn files(directory: &str, ending: &str) -> io::Result<Vec<(String, String)>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}
