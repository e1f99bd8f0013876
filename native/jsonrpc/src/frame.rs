//! Cuts a byte stream into JSON objects that follow one another with or without white space.
//!
//! SPDK ends a reply with a newline, OVSDB with nothing (RFC 7047, section 4: "a stream of JSON
//! objects"), and either may arrive split or merged by the socket. So the end of an object is found
//! by its brackets. The scan looks at each byte once, however the stream is split.

use std::fmt;

/// What one frame may cost before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of nested objects and arrays. At most 127: the JSON parser's own limit.
    pub max_depth: usize,
    /// Bytes of one object.
    pub max_bytes: usize,
}

/// A stream that cannot be cut into frames. The connection that carried it is of no further use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A byte between two objects that is neither white space nor `{`.
    NotAnObject(u8),
    /// More levels than [`Limits::max_depth`].
    TooDeep(usize),
    /// More bytes than [`Limits::max_bytes`].
    TooLarge(usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject(byte) => write!(f, "expected a JSON object, found byte 0x{byte:02x}"),
            Self::TooDeep(limit) => write!(f, "a JSON object nests deeper than {limit} levels"),
            Self::TooLarge(limit) => write!(f, "a JSON object is larger than {limit} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

/// The cutter. Bytes go in by [`Framer::push`], whole objects come out of [`Framer::next_frame`].
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Start of the object being scanned.
    start: usize,
    /// First byte not looked at yet.
    cursor: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: Vec::new(), start: 0, cursor: 0, depth: 0, in_string: false, escaped: false }
    }

    /// Appends bytes as they came from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.cursor -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole object, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`FrameError`] when the stream breaks the limits or holds something other than objects.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        loop {
            if self.depth > 0 {
                self.skip()?;
            }
            let Some(&byte) = self.buffer.get(self.cursor) else { return Ok(None) };
            self.cursor += 1;
            if self.depth == 0 {
                self.open(byte)?;
            } else if self.scan(byte)? {
                let frame = self.start..self.cursor;
                self.start = self.cursor;
                return Ok(Some(&self.buffer[frame]));
            }
        }
    }

    /// Passes over the bytes that decide nothing, which are most.
    fn skip(&mut self) -> Result<(), FrameError> {
        let rest = &self.buffer[self.cursor..];
        let plain = if self.escaped {
            Some(0)
        } else if self.in_string {
            rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))
        } else {
            rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'))
        };
        self.cursor += plain.unwrap_or(rest.len());
        self.check_size()
    }

    fn check_size(&self) -> Result<(), FrameError> {
        if self.cursor - self.start > self.limits.max_bytes {
            return Err(FrameError::TooLarge(self.limits.max_bytes));
        }
        Ok(())
    }

    /// A byte between two objects.
    fn open(&mut self, byte: u8) -> Result<(), FrameError> {
        match byte {
            b'{' => {
                self.start = self.cursor - 1;
                self.depth = 1;
                Ok(())
            }
            b' ' | b'\t' | b'\r' | b'\n' => {
                self.start = self.cursor;
                Ok(())
            }
            other => Err(FrameError::NotAnObject(other)),
        }
    }

    /// A byte within an object; true when it closes the object.
    fn scan(&mut self, byte: u8) -> Result<bool, FrameError> {
        self.check_size()?;
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > self.limits.max_depth {
                    return Err(FrameError::TooDeep(self.limits.max_depth));
                }
            }
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(self.depth == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const LIMITS: Limits = Limits { max_depth: 8, max_bytes: 64 };

    fn frames(framer: &mut Framer, bytes: &[u8]) -> Result<Vec<String>, FrameError> {
        framer.push(bytes);
        let mut found = Vec::new();
        while let Some(frame) = framer.next_frame()? {
            found.push(String::from_utf8(frame.to_vec()).expect("test frames are UTF-8"));
        }
        Ok(found)
    }

    #[test]
    fn objects_may_follow_one_another_with_or_without_white_space() {
        let mut framer = Framer::new(LIMITS);
        let found = frames(&mut framer, b" {\"a\":1}{\"b\":[2]}\n\t{\"c\":{}}\r\n").unwrap();
        assert_eq!(found, [r#"{"a":1}"#, r#"{"b":[2]}"#, r#"{"c":{}}"#]);
    }

    #[test]
    fn brackets_and_escaped_quotes_within_strings_do_not_count() {
        let text = r#"{"a":"}]{[\"}\\"}"#;
        assert_eq!(frames(&mut Framer::new(LIMITS), text.as_bytes()).unwrap(), [text]);
    }

    #[test]
    fn anything_but_an_object_between_objects_is_refused() {
        assert_eq!(frames(&mut Framer::new(LIMITS), b"{}[1]"), Err(FrameError::NotAnObject(b'[')));
    }

    #[test]
    fn depth_is_bounded_before_the_object_ends() {
        let mut framer = Framer::new(LIMITS);
        assert_eq!(frames(&mut framer, b"{\"a\":[[[[[[[["), Err(FrameError::TooDeep(8)));
    }

    #[test]
    fn size_is_bounded_before_the_object_ends() {
        let mut framer = Framer::new(LIMITS);
        let endless = format!("{{\"a\":\"{}", "x".repeat(64));
        assert_eq!(frames(&mut framer, endless.as_bytes()), Err(FrameError::TooLarge(64)));
    }

    fn json_object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        prop::collection::btree_map(".*", value, 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn any_objects_survive_any_split(
            objects in prop::collection::vec(json_object(), 0..5),
            cut in 1_usize..16,
        ) {
            let stream: Vec<u8> = objects.iter().flat_map(|object| object.to_string().into_bytes()).collect();
            let mut framer = Framer::new(Limits { max_depth: 127, max_bytes: 1 << 20 });
            let mut found = Vec::new();
            for piece in stream.chunks(cut) {
                framer.push(piece);
                while let Some(frame) = framer.next_frame().unwrap() {
                    found.push(serde_json::from_slice::<Value>(frame).unwrap());
                }
            }
            prop_assert_eq!(found, objects);
        }

        #[test]
        fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..32), 0..8)) {
            let mut framer = Framer::new(LIMITS);
            for piece in &pieces {
                framer.push(piece);
                loop {
                    match framer.next_frame() {
                        Ok(Some(frame)) => prop_assert!(frame.len() <= LIMITS.max_bytes),
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
            }
        }
    }
}
