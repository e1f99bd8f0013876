//! The types of a database's columns (RFC 7047, section 3.2), as `get_schema` tells them.
//!
//! Without them a value cannot be read: a set with one member is written like a scalar, and `update2` tells a
//! set's *difference*.

use std::collections::HashMap;

use serde_json::Value;

use crate::Malformed;

/// The type of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomType {
    /// 64 bits, signed.
    Integer,
    /// 64 bits, floating point.
    Real,
    /// True or false.
    Boolean,
    /// Text.
    String,
    /// A row, or an identifier.
    Uuid,
}

/// The shape of a column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Exactly one atom.
    Scalar(AtomType),
    /// One atom or none.
    Optional(AtomType),
    /// Any number of atoms.
    Set(AtomType),
    /// Keys and values.
    Map(AtomType, AtomType),
}

/// The columns of each table, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    tables: HashMap<String, HashMap<String, ColumnType>>,
}

impl Schema {
    /// Reads the result of `get_schema`.
    ///
    /// # Errors
    /// [`Malformed`] with the table and column that does not read.
    pub fn parse(result: &Value) -> Result<Self, Malformed> {
        let tables = members(result, "tables", "the schema")?;
        let tables = tables.iter().map(|(name, table)| Ok((name.clone(), columns(name, table)?)));
        Ok(Self { tables: tables.collect::<Result<_, _>>()? })
    }

    /// The type of one column.
    ///
    /// # Errors
    /// [`Malformed`] when the database has no such table or column.
    pub fn column(&self, table: &str, column: &str) -> Result<ColumnType, Malformed> {
        let columns = self.tables.get(table);
        let found = columns.and_then(|columns| columns.get(column)).copied();
        found.ok_or_else(|| Malformed(format!("the schema has no column {table}.{column}")))
    }
}

fn members<'a>(
    value: &'a Value,
    name: &str,
    of: &str,
) -> Result<&'a serde_json::Map<String, Value>, Malformed> {
    let member = value.get(name).and_then(Value::as_object);
    member.ok_or_else(|| Malformed(format!("{of} has no object {name:?}")))
}

fn columns(table: &str, value: &Value) -> Result<HashMap<String, ColumnType>, Malformed> {
    let columns = members(value, "columns", table)?;
    let typed = columns.iter().map(|(name, column)| {
        let kind = column.get("type").and_then(column_type);
        let kind =
            kind.ok_or_else(|| Malformed(format!("the type of {table}.{name} does not read: {column}")))?;
        Ok((name.clone(), kind))
    });
    typed.collect()
}

/// `<type>` of RFC 7047, section 3.2.
fn column_type(value: &Value) -> Option<ColumnType> {
    if let Some(name) = value.as_str() {
        return atom_type(name).map(ColumnType::Scalar);
    }
    let key = base_type(value.get("key")?)?;
    if let Some(of) = value.get("value") {
        return Some(ColumnType::Map(key, base_type(of)?));
    }
    let min = value.get("min").map_or(Some(1), Value::as_u64)?;
    let max =
        value.get("max").map_or(Some(1), |max| max.as_u64().or((max == "unlimited").then_some(u64::MAX)))?;
    Some(match (min, max) {
        (1, 1) => ColumnType::Scalar(key),
        (0, 1) => ColumnType::Optional(key),
        _ => ColumnType::Set(key),
    })
}

/// `<base-type>`: a name, or an object with the name in `type`.
fn base_type(value: &Value) -> Option<AtomType> {
    atom_type(value.as_str().or_else(|| value.get("type")?.as_str())?)
}

fn atom_type(name: &str) -> Option<AtomType> {
    Some(match name {
        "integer" => AtomType::Integer,
        "real" => AtomType::Real,
        "boolean" => AtomType::Boolean,
        "string" => AtomType::String,
        "uuid" => AtomType::Uuid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_shape_of_type_is_read() {
        let kinds = [
            (json!("string"), ColumnType::Scalar(AtomType::String)),
            (json!({"key": "integer"}), ColumnType::Scalar(AtomType::Integer)),
            (json!({"key": {"type": "integer"}, "min": 0}), ColumnType::Optional(AtomType::Integer)),
            (
                json!({"key": {"type": "uuid", "refTable": "Port"}, "min": 0, "max": "unlimited"}),
                ColumnType::Set(AtomType::Uuid),
            ),
            (json!({"key": "integer", "min": 0, "max": 4096}), ColumnType::Set(AtomType::Integer)),
            (
                json!({"key": "string", "value": "real", "min": 0, "max": "unlimited"}),
                ColumnType::Map(AtomType::String, AtomType::Real),
            ),
        ];
        for (text, kind) in kinds {
            let schema = Schema::parse(&json!({"tables": {"T": {"columns": {"c": {"type": text}}}}}));
            assert_eq!(schema.unwrap().column("T", "c"), Ok(kind));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let schema = Schema::parse(&json!({"tables": {"Port": {"columns": {}}}})).unwrap();
        assert_eq!(schema.column("Port", "tag").unwrap_err().0, "the schema has no column Port.tag");
        assert!(Schema::parse(&json!({})).unwrap_err().0.contains("tables"));
    }
}
