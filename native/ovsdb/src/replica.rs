//! Chosen tables of a database as the server last told them.
//!
//! Fed with the reply to `monitor` or `monitor_cond` and with the notifications `update` (RFC 7047, section
//! 4.1.6) and `update2` (ovsdb-server(7), section 4.1.14). After a lost connection it starts again from a new
//! reply: a standalone server cannot tell what was missed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::{ColumnType, Datum, Malformed, Schema, Uuid};

/// One row: values by column. Shared, never changed in place.
pub type Row = Arc<BTreeMap<String, Datum>>;

/// A row that came, went or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its table.
    pub table: String,
    /// Its identifier.
    pub uuid: Uuid,
}

/// The tables. See the module's introduction.
#[derive(Debug, Default)]
pub struct Replica {
    /// The monitored columns of each table with their types.
    columns: HashMap<String, BTreeMap<String, ColumnType>>,
    tables: HashMap<String, HashMap<Uuid, Row>>,
}

impl Replica {
    /// Forgets all rows and takes up the types of the columns that will be monitored.
    ///
    /// # Errors
    /// [`Malformed`] when the schema does not read or has no such table or column.
    pub fn reset(
        &mut self,
        schema: &Value,
        monitored: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), Malformed> {
        let schema = Schema::parse(schema)?;
        let mut columns = HashMap::new();
        for (table, names) in monitored {
            let typed = names.iter().map(|name| Ok((name.clone(), schema.column(table, name)?)));
            columns.insert(table.clone(), typed.collect::<Result<BTreeMap<_, _>, Malformed>>()?);
        }
        self.tables = columns.keys().map(|table| (table.clone(), HashMap::new())).collect();
        self.columns = columns;
        Ok(())
    }

    /// The rows of a table. Empty for one that is not monitored.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        self.tables.get(table).into_iter().flatten().map(|(uuid, row)| (*uuid, row))
    }

    /// One row.
    #[must_use]
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&uuid)
    }

    /// Applies `<table-updates>`, the first reply of `monitor` or the second parameter of `update`.
    ///
    /// # Errors
    /// [`Malformed`]; the replica is then of no further use until it is reset.
    pub fn update(&mut self, updates: &Value) -> Result<Vec<Change>, Malformed> {
        self.apply(updates, |replica, table, uuid, update| {
            let row = match update.get("new") {
                Some(new) => Some(replica.insert(table, new)?),
                None => None,
            };
            replica.put(table, uuid, row)
        })
    }

    /// Applies `<table-updates2>`, the first reply of `monitor_cond` or the second parameter of `update2`.
    ///
    /// # Errors
    /// [`Malformed`]; the replica is then of no further use until it is reset.
    pub fn update2(&mut self, updates: &Value) -> Result<Vec<Change>, Malformed> {
        self.apply(updates, |replica, table, uuid, update| {
            let row = if let Some(new) = update.get("initial").or_else(|| update.get("insert")) {
                Some(replica.insert(table, new)?)
            } else if let Some(difference) = update.get("modify") {
                Some(replica.modify(table, uuid, difference)?)
            } else if update.get("delete").is_some() {
                None
            } else {
                return Err(Malformed(format!(
                    "an update of {table} row {uuid} without a known verb: {update}"
                )));
            };
            replica.put(table, uuid, row)
        })
    }

    fn apply(
        &mut self,
        updates: &Value,
        one: impl Fn(&mut Self, &str, Uuid, &Value) -> Result<(), Malformed>,
    ) -> Result<Vec<Change>, Malformed> {
        let mut changes = Vec::new();
        for (table, rows) in object(updates, "table updates")? {
            for (uuid, update) in object(rows, table)? {
                let uuid = uuid.parse()?;
                one(self, table, uuid, update)?;
                changes.push(Change { table: table.clone(), uuid });
            }
        }
        Ok(changes)
    }

    fn columns(&self, table: &str) -> Result<&BTreeMap<String, ColumnType>, Malformed> {
        self.columns
            .get(table)
            .ok_or_else(|| Malformed(format!("an update of {table}, which is not monitored")))
    }

    fn insert(&self, table: &str, new: &Value) -> Result<Row, Malformed> {
        let values = self.columns(table)?.iter().map(|(column, kind)| {
            let value = match new.get(column) {
                Some(value) => Datum::parse(value, *kind).map_err(|error| at(table, column, &error))?,
                None => Datum::default(*kind),
            };
            Ok((column.clone(), value))
        });
        Ok(Arc::new(values.collect::<Result<_, Malformed>>()?))
    }

    fn modify(&self, table: &str, uuid: Uuid, difference: &Value) -> Result<Row, Malformed> {
        let columns = self.columns(table)?;
        let known = self
            .row(table, uuid)
            .ok_or_else(|| Malformed(format!("{table} row {uuid} changed but never came")))?;
        let mut row = BTreeMap::clone(known);
        for (column, difference) in object(difference, table)? {
            let (Some(kind), Some(value)) = (columns.get(column), row.get_mut(column)) else {
                return Err(Malformed(format!("{table}.{column} changed, which is not monitored")));
            };
            value.patch(difference, *kind).map_err(|error| at(table, column, &error))?;
        }
        Ok(Arc::new(row))
    }

    fn put(&mut self, table: &str, uuid: Uuid, row: Option<Row>) -> Result<(), Malformed> {
        self.columns(table)?;
        let rows = self.tables.entry(table.to_owned()).or_default();
        match row {
            Some(row) => rows.insert(uuid, row),
            None => rows.remove(&uuid),
        };
        Ok(())
    }
}

fn at(table: &str, column: &str, error: &Malformed) -> Malformed {
    Malformed(format!("{table}.{column}: {error}"))
}

fn object<'a>(value: &'a Value, of: &str) -> Result<&'a serde_json::Map<String, Value>, Malformed> {
    value.as_object().ok_or_else(|| Malformed(format!("{of}: expected an object, found {value}")))
}
