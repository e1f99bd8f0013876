//! Row identifiers.

use std::fmt;
use std::str::FromStr;

use crate::Malformed;

/// A UUID, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub u128);

impl FromStr for Uuid {
    type Err = Malformed;

    /// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed(format!("not a UUID: {text:?}"));
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths != [8, 4, 4, 4, 12] || text.contains('+') {
            return Err(malformed());
        }
        u128::from_str_radix(&groups.concat(), 16).map(Self).map_err(|_| malformed())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        f.write_str(&groups.join("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree() {
        let text = "0f0e0d0c-0b0a-0908-0706-050403020100";
        let uuid: Uuid = text.parse().unwrap();
        assert_eq!(uuid.0, 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100);
        assert_eq!(uuid.to_string(), text);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "br0", "0f0e0d0c0b0a09080706050403020100", "0f0e0d0c-0b0a-0908-0706-05040302010g"] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }
}
