//! Python values to JSON and back, OVSDB values to Python.

use ovsdb::{Atom, Datum, Row, Uuid};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyString, PyTuple, PyType};
use serde_json::{Map, Number, Value};

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

/// The Python value of JSON: None, bool, int, float, str, list, dict.
pub(crate) fn from_json<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(truth) => truth.into_bound_py_any(py),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(signed), _) => signed.into_bound_py_any(py),
            (None, Some(unsigned)) => unsigned.into_bound_py_any(py),
            (None, None) => number.as_f64().into_bound_py_any(py),
        },
        Value::String(text) => text.into_bound_py_any(py),
        Value::Array(members) => {
            let members = members.iter().map(|member| from_json(py, member)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, members)?.into_bound_py_any(py)
        }
        Value::Object(members) => {
            let dict = PyDict::new(py);
            for (name, member) in members {
                dict.set_item(name, from_json(py, member)?)?;
            }
            dict.into_bound_py_any(py)
        }
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
