//! Values of columns: `<value>` of RFC 7047, section 5.1, read by the column's type.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::schema::{AtomType, ColumnType};
use crate::{Malformed, Uuid};

/// One atom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// A signed number of 64 bits.
    Integer(i64),
    /// The bits of a floating point number; OVSDB compares them as such.
    Real(u64),
    /// True or false.
    Boolean(bool),
    /// Text.
    String(String),
    /// A row, or an identifier.
    Uuid(Uuid),
}

/// The value of a column, in the shape of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// Exactly one atom.
    Scalar(Atom),
    /// One atom or none.
    Optional(Option<Atom>),
    /// Any number of atoms.
    Set(BTreeSet<Atom>),
    /// Keys and values.
    Map(BTreeMap<Atom, Atom>),
}

impl Atom {
    fn parse(value: &Value, kind: AtomType) -> Option<Self> {
        Some(match kind {
            AtomType::Integer => Self::Integer(value.as_i64()?),
            AtomType::Real => Self::Real(value.as_f64()?.to_bits()),
            AtomType::Boolean => Self::Boolean(value.as_bool()?),
            AtomType::String => Self::String(value.as_str()?.to_owned()),
            AtomType::Uuid => match value.as_array()?.as_slice() {
                [tag, uuid] if tag == "uuid" => Self::Uuid(uuid.as_str()?.parse().ok()?),
                _ => return None,
            },
        })
    }

    /// The value that an absent column has (RFC 7047, section 5.2.1).
    fn default(kind: AtomType) -> Self {
        match kind {
            AtomType::Integer => Self::Integer(0),
            AtomType::Real => Self::Real(0),
            AtomType::Boolean => Self::Boolean(false),
            AtomType::String => Self::String(String::new()),
            AtomType::Uuid => Self::Uuid(Uuid(0)),
        }
    }
}

impl Datum {
    /// Reads a value.
    ///
    /// # Errors
    /// [`Malformed`] when it is not of that type.
    pub fn parse(value: &Value, kind: ColumnType) -> Result<Self, Malformed> {
        Self::read(value, kind).ok_or_else(|| Malformed(format!("{value} is no {kind:?}")))
    }

    fn read(value: &Value, kind: ColumnType) -> Option<Self> {
        Some(match kind {
            ColumnType::Scalar(of) => Self::Scalar(Atom::parse(value, of)?),
            ColumnType::Optional(of) => {
                let mut members = set(value, of)?;
                if members.len() > 1 {
                    return None;
                }
                Self::Optional(members.pop_first())
            }
            ColumnType::Set(of) => Self::Set(set(value, of)?),
            ColumnType::Map(key, of) => Self::Map(map(value, key, of)?),
        })
    }

    /// The value of a column that the server left out because it has its default.
    #[must_use]
    pub fn default(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Scalar(of) => Self::Scalar(Atom::default(of)),
            ColumnType::Optional(_) => Self::Optional(None),
            ColumnType::Set(_) => Self::Set(BTreeSet::new()),
            ColumnType::Map(..) => Self::Map(BTreeMap::new()),
        }
    }

    /// Applies the difference that `update2` tells in `modify`: the new value of a column that holds at most one atom;
    /// the members that only one of two sets has; a map's pairs that were added, removed or changed
    /// (ovsdb-server(7), section 4.1.14; that an optional counts as single was seen with Open vSwitch 3.1).
    ///
    /// # Errors
    /// [`Malformed`] when the difference is not one of this type.
    pub fn patch(&mut self, difference: &Value, kind: ColumnType) -> Result<(), Malformed> {
        self.apply(difference, kind).ok_or_else(|| Malformed(format!("{difference} changes no {kind:?}")))
    }

    fn apply(&mut self, difference: &Value, kind: ColumnType) -> Option<()> {
        match (self, kind) {
            (
                value @ (Self::Scalar(_) | Self::Optional(_)),
                ColumnType::Scalar(_) | ColumnType::Optional(_),
            ) => {
                *value = Self::read(difference, kind)?;
            }
            (Self::Set(members), ColumnType::Set(of)) => {
                *members = members.symmetric_difference(&set(difference, of)?).cloned().collect();
            }
            (Self::Map(pairs), ColumnType::Map(key, of)) => {
                for (key, value) in map(difference, key, of)? {
                    // The same pair again means that it was removed.
                    if pairs.get(&key) == Some(&value) {
                        pairs.remove(&key);
                    } else {
                        pairs.insert(key, value);
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// `["set", [<atom>*]]`, or the only atom alone.
fn set(value: &Value, kind: AtomType) -> Option<BTreeSet<Atom>> {
    match value.as_array().map(Vec::as_slice) {
        Some([tag, members]) if tag == "set" => {
            members.as_array()?.iter().map(|member| Atom::parse(member, kind)).collect()
        }
        _ => Atom::parse(value, kind).map(|atom| BTreeSet::from([atom])),
    }
}

/// `["map", [[<atom>, <atom>]*]]`.
fn map(value: &Value, key: AtomType, of: AtomType) -> Option<BTreeMap<Atom, Atom>> {
    let Some([tag, pairs]) = value.as_array().map(Vec::as_slice) else { return None };
    if tag != "map" {
        return None;
    }
    let pair = |pair: &Value| match pair.as_array()?.as_slice() {
        [first, second] => Some((Atom::parse(first, key)?, Atom::parse(second, of)?)),
        _ => None,
    };
    pairs.as_array()?.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use AtomType::{Boolean, Integer, Real, String as Text, Uuid as Reference};
    use serde_json::json;

    fn text(text: &str) -> Atom {
        Atom::String(text.to_owned())
    }

    #[test]
    fn a_lone_atom_is_what_its_column_says() {
        let five = json!(5);
        assert_eq!(Datum::parse(&five, ColumnType::Scalar(Integer)), Ok(Datum::Scalar(Atom::Integer(5))));
        assert_eq!(
            Datum::parse(&five, ColumnType::Optional(Integer)),
            Ok(Datum::Optional(Some(Atom::Integer(5))))
        );
        let set = Datum::Set(BTreeSet::from([Atom::Integer(5)]));
        assert_eq!(Datum::parse(&five, ColumnType::Set(Integer)), Ok(set));
    }

    #[test]
    fn references_reals_and_booleans_are_read() {
        let uuid = json!(["uuid", "00000000-0000-0000-0000-000000000007"]);
        assert_eq!(
            Datum::parse(&uuid, ColumnType::Scalar(Reference)),
            Ok(Datum::Scalar(Atom::Uuid(Uuid(7))))
        );
        let half = Datum::parse(&json!(0.5), ColumnType::Scalar(Real));
        assert_eq!(half, Ok(Datum::Scalar(Atom::Real(0.5_f64.to_bits()))));
        assert_eq!(
            Datum::parse(&json!(true), ColumnType::Scalar(Boolean)),
            Ok(Datum::Scalar(Atom::Boolean(true)))
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for (value, kind) in [
            (json!("5"), ColumnType::Scalar(Integer)),
            (json!(["set", [1, 2]]), ColumnType::Optional(Integer)),
            (json!(["map", [["k"]]]), ColumnType::Map(Text, Text)),
            (json!(["set", [["uuid", "nope"]]]), ColumnType::Set(Reference)),
        ] {
            assert!(Datum::parse(&value, kind).is_err(), "{value}");
        }
    }

    #[test]
    fn an_optional_changes_to_the_value_that_is_told() {
        let kind = ColumnType::Optional(Integer);
        let mut tag = Datum::default(kind);
        for (difference, now) in
            [(json!(5), Some(5)), (json!(7), Some(7)), (json!(5), Some(5)), (json!(["set", []]), None)]
        {
            tag.patch(&difference, kind).unwrap();
            assert_eq!(tag, Datum::Optional(now.map(Atom::Integer)));
        }
    }

    #[test]
    fn a_set_changes_by_difference() {
        let kind = ColumnType::Set(Integer);
        let mut trunks = Datum::parse(&json!(["set", [1, 2]]), kind).unwrap();
        trunks.patch(&json!(["set", [2, 3]]), kind).unwrap();
        assert_eq!(trunks, Datum::Set(BTreeSet::from([Atom::Integer(1), Atom::Integer(3)])));
    }

    #[test]
    fn a_map_changes_by_difference() {
        let kind = ColumnType::Map(Text, Text);
        let mut ids = Datum::parse(&json!(["map", [["a", "1"], ["b", "2"]]]), kind).unwrap();
        ids.patch(&json!(["map", [["a", "1"], ["b", "3"], ["c", "4"]]]), kind).unwrap();
        assert_eq!(ids, Datum::Map(BTreeMap::from([(text("b"), text("3")), (text("c"), text("4"))])));
    }
}
