//! Python values to JSON and back, OVSDB values to Python.

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonrpc::Text;
use ovsdb::{Atom, Datum, Row, Uuid};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyString, PyTuple, PyType};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::Failure;

/// Deeper than any request, shallower than any stack.
const MAX_DEPTH: usize = 64;

/// JSON of None, bool, int, float, str, and lists, tuples and dicts of them.
pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    nested(value, MAX_DEPTH)
}

fn nested(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let depth = depth.checked_sub(1).ok_or_else(|| PyValueError::new_err("parameters nest too deep"))?;
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(truth) = value.cast::<PyBool>() {
        Ok(Value::Bool(truth.is_true()))
    } else if let Ok(text) = value.cast::<PyString>() {
        Ok(Value::String(text.to_string_lossy().into_owned()))
    } else if value.is_instance_of::<PyInt>() {
        integer(value)
    } else if let Ok(real) = value.cast::<PyFloat>() {
        let number = Number::from_f64(real.value());
        number.map(Value::Number).ok_or_else(|| PyValueError::new_err("JSON has no NaN and no infinity"))
    } else if let Ok(members) = value.cast::<PyDict>() {
        object(members, depth)
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        value.try_iter()?.map(|member| nested(&member?, depth)).collect::<PyResult<_>>().map(Value::Array)
    } else {
        Err(PyTypeError::new_err(format!("{} is no JSON value", value.get_type().name()?)))
    }
}

fn integer(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    value.extract::<i64>().map(Value::from).or_else(|_| value.extract::<u64>().map(Value::from))
}

fn object(members: &Bound<'_, PyDict>, depth: usize) -> PyResult<Value> {
    let mut object = Map::with_capacity(members.len());
    for (name, member) in members {
        object.insert(name.extract()?, nested(&member, depth)?);
    }
    Ok(Value::Object(object))
}

/// The Python value of a result: None, bool, int, float, str, list, dict.
pub(crate) fn from_json<'py>(py: Python<'py>, text: &Text) -> Result<Bound<'py, PyAny>, Failure> {
    let mut deserializer = serde_json::Deserializer::from_str(text.as_str());
    Ok(Reader(py).deserialize(&mut deserializer)?)
}

/// Makes Python values of what a JSON reader meets, with nothing in between.
#[derive(Clone, Copy)]
struct Reader<'py>(Python<'py>);

impl<'de, 'py> DeserializeSeed<'de> for Reader<'py> {
    type Value = Bound<'py, PyAny>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'py> Visitor<'de> for Reader<'py> {
    type Value = Bound<'py, PyAny>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.0.None().into_bound(self.0))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Self::Value, E> {
        truth.into_bound_py_any(self.0).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        number.into_bound_py_any(self.0).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        number.into_bound_py_any(self.0).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        number.into_bound_py_any(self.0).map_err(E::custom)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.0, text).into_any())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(member) = members.next_element_seed(self)? {
            list.push(member);
        }
        Ok(PyList::new(self.0, list).map_err(de::Error::custom)?.into_any())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let dict = PyDict::new(self.0);
        while let Some((name, member)) = members.next_entry_seed(Name(self.0), self)? {
            dict.set_item(name, member).map_err(de::Error::custom)?;
        }
        Ok(dict.into_any())
    }
}

/// Makes the Python name of a member. A peer uses the same few again and again, so they are made once, hash included.
struct Name<'py>(Python<'py>);

/// More names than SPDK's results have; a peer that makes up more of them is served without.
const NAMES_KEPT: usize = 1024;

impl<'de, 'py> DeserializeSeed<'de> for Name<'py> {
    type Value = Bound<'py, PyString>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'py> Visitor<'_> for Name<'py> {
    type Value = Bound<'py, PyString>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        static KNOWN: LazyLock<Mutex<HashMap<Box<str>, Py<PyString>>>> = LazyLock::new(Mutex::default);
        // Nothing is called while it is held that could ask for it again: no Python code runs in making a string.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = known.get(text) {
            return Ok(name.bind(self.0).clone());
        }
        let name = PyString::new(self.0, text);
        if known.len() < NAMES_KEPT {
            known.insert(text.into(), name.clone().unbind());
        }
        Ok(name)
    }
}

/// A row as a dict of its columns.
pub(crate) fn from_row<'py>(py: Python<'py>, row: &Row) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (column, datum) in row.iter() {
        dict.set_item(column, from_datum(py, datum)?)?;
    }
    Ok(dict)
}

/// A scalar as itself, an optional as itself or None, a set as frozenset, a map as dict.
fn from_datum<'py>(py: Python<'py>, datum: &Datum) -> PyResult<Bound<'py, PyAny>> {
    match datum {
        Datum::Optional(None) => Ok(py.None().into_bound(py)),
        Datum::Scalar(atom) | Datum::Optional(Some(atom)) => from_atom(py, atom),
        Datum::Set(atoms) => {
            let members = atoms.iter().map(|atom| from_atom(py, atom)).collect::<PyResult<Vec<_>>>()?;
            PyFrozenSet::new(py, members)?.into_bound_py_any(py)
        }
        Datum::Map(pairs) => {
            let dict = PyDict::new(py);
            for (key, value) in pairs {
                dict.set_item(from_atom(py, key)?, from_atom(py, value)?)?;
            }
            dict.into_bound_py_any(py)
        }
    }
}

fn from_atom<'py>(py: Python<'py>, atom: &Atom) -> PyResult<Bound<'py, PyAny>> {
    match atom {
        Atom::Integer(number) => number.into_bound_py_any(py),
        Atom::Real(bits) => f64::from_bits(*bits).into_bound_py_any(py),
        Atom::Boolean(truth) => truth.into_bound_py_any(py),
        Atom::String(text) => text.into_bound_py_any(py),
        Atom::Uuid(uuid) => from_uuid(py, *uuid),
    }
}

fn uuid_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "uuid", "UUID")
}

/// `uuid.UUID`.
pub(crate) fn from_uuid(py: Python<'_>, uuid: Uuid) -> PyResult<Bound<'_, PyAny>> {
    let kwargs = PyDict::new(py);
    kwargs.set_item("int", uuid.0)?;
    uuid_type(py)?.call((), Some(&kwargs))
}

/// Of `uuid.UUID`.
pub(crate) fn to_uuid(value: &Bound<'_, PyAny>) -> PyResult<Uuid> {
    value.getattr("int")?.extract().map(Uuid)
}
