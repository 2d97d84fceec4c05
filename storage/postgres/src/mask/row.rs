//! Rows of `COPY` in text format: reading a field, and writing another one in its place (manual of `COPY`, "Text Format").

use super::shuffle::Shuffle;
use super::transform::Method;
use super::{Key, Plan, Table, Transformer};

/// Masks the rows of one `COPY`.
#[derive(Debug)]
pub(crate) struct RowMask {
    key: Key,
    methods: Vec<Option<Method>>,
    /// The place of each in the report.
    places: Vec<Option<usize>>,
    replaced: Vec<u64>,
    shuffle: Option<Shuffle>,
    out: Vec<u8>,
    is_ready: bool,
}

impl RowMask {
    /// For rows of `table` with these columns, or with all of its columns.
    pub(crate) fn new(plan: &Plan, table: &Table, columns: Option<&[String]>) -> Self {
        let (methods, places) = table.for_columns(columns);
        let is_shuffled = |method: &Option<Method>| {
            method.as_ref().is_some_and(|method| method.with == Transformer::Shuffle)
        };
        let shuffled = methods.iter().zip(&places).enumerate().filter(|(_, (method, _))| is_shuffled(method));
        let shuffled: Vec<(usize, String)> = shuffled
            .filter_map(|(at, (_, place))| Some((at, plan.report().get((*place)?)?.column.to_string())))
            .collect();
        let shuffle = (!shuffled.is_empty()).then(|| Shuffle::new(plan.key().clone(), shuffled));
        Self {
            key: plan.key().clone(),
            replaced: vec![0; methods.len()],
            methods,
            places,
            shuffle,
            out: Vec::new(),
            is_ready: false,
        }
    }

    /// Takes a row, which keeps its line break; `None` if it has not the fields that it should have.
    pub(crate) fn take(&mut self, row: &[u8]) -> Option<()> {
        self.row(row)?;
        match &mut self.shuffle {
            Some(shuffle) => shuffle.take(&self.out),
            None => self.is_ready = true,
        }
        Some(())
    }

    /// Whether a row has its fields replaced and may go: [`RowMask::ready`].
    pub(crate) fn is_ready(&mut self) -> bool {
        match &mut self.shuffle {
            Some(shuffle) => shuffle.leave(&mut self.out),
            None => std::mem::take(&mut self.is_ready),
        }
    }

    /// The row that may go.
    pub(crate) fn ready(&self) -> &[u8] {
        &self.out
    }

    /// Whether rows may be left when no other comes.
    pub(crate) fn holds_back(&self) -> bool {
        self.shuffle.is_some()
    }

    /// No row comes any more: those that were held back may go.
    pub(crate) fn end(&mut self) {
        if let Some(shuffle) = &mut self.shuffle {
            shuffle.end();
        }
    }

    /// The row with its fields replaced.
    fn row(&mut self, row: &[u8]) -> Option<&[u8]> {
        self.out.clear();
        let body = row.strip_suffix(b"\n").unwrap_or(row);
        let body = body.strip_suffix(b"\r").unwrap_or(body);
        // A backslash would take the line break into the last field.
        if body.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
            return None;
        }
        let mut fields = body.split(|byte| *byte == b'\t');
        for (at, method) in self.methods.iter().enumerate() {
            let field = fields.next()?;
            if at > 0 {
                self.out.push(b'\t');
            }
            match method {
                Some(method) if field != b"\\N" => {
                    self.replaced[at] += 1;
                    if matches!(method.with, Transformer::Shuffle | Transformer::Sql(_)) {
                        self.out.extend_from_slice(field);
                        continue;
                    }
                    match method.apply(&self.key, &decoded(field)) {
                        Some(value) => encode(&value, &mut self.out),
                        None => self.out.extend_from_slice(b"\\N"),
                    }
                }
                _ => self.out.extend_from_slice(field),
            }
        }
        self.out.extend_from_slice(&row[body.len()..]);
        fields.next().is_none().then_some(&self.out)
    }

    /// Notes in the report what was replaced.
    pub(crate) fn note(&self, plan: &mut Plan) {
        for (place, count) in self.places.iter().zip(&self.replaced) {
            if let Some(place) = place {
                plan.count(*place, *count);
            }
        }
    }
}

/// The bytes that a field stands for.
pub(crate) fn decoded(field: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let Some((&escape, tail)) = tail.split_first().filter(|_| byte == b'\\') else {
            value.push(byte);
            continue;
        };
        rest = tail;
        match escape {
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(11),
            b'0'..=b'7' => {
                let more = tail.iter().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let digits =
                    tail[..more].iter().fold(u32::from(escape - b'0'), |n, d| n * 8 + u32::from(d - b'0'));
                value.push(digits as u8);
                rest = &tail[more..];
            }
            b'x' => {
                let count = tail.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
                let digits = std::str::from_utf8(&tail[..count]).ok();
                value.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b'x'));
                rest = &tail[count..];
            }
            other => value.push(other),
        }
    }
    value
}

fn encode(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Transformer;
    use super::super::transform::Kind;
    use super::*;

    fn fixed(text: &str) -> Method {
        let with = Transformer::Fixed(text.to_owned());
        Method {
            with,
            kind: Kind::Text,
            unique: false,
            max_chars: None,
            max_number: None,
            folds: false,
            trims: false,
        }
    }

    fn masked(methods: &[Option<Method>], row: &str) -> Option<String> {
        let mut mask = RowMask {
            key: Key::from_bytes([0; 32]),
            methods: methods.to_vec(),
            places: vec![None; methods.len()],
            replaced: vec![0; methods.len()],
            shuffle: None,
            out: Vec::new(),
            is_ready: false,
        };
        Some(String::from_utf8(mask.row(row.as_bytes())?.to_vec()).unwrap())
    }

    #[test]
    fn only_the_fields_with_a_method_change() {
        let methods = [None, Some(fixed("a\tb\\")), None];
        assert_eq!(masked(&methods, "1\tx\\\\y\t\\N\n").unwrap(), "1\ta\\tb\\\\\t\\N\n");
        assert_eq!(masked(&methods, "1\t\\N\tz\r\n").unwrap(), "1\t\\N\tz\r\n");
        assert_eq!(masked(&methods, "1\tx\n"), None);
        assert_eq!(masked(&methods, "1\tx\ty\\\n"), None);
        assert_eq!(masked(&methods, "1\tx\ty\tz\n"), None);
    }

    #[test]
    fn escapes_are_read_as_the_server_reads_them() {
        assert_eq!(decoded(br"a\\b\tc\n\101\x41\x4\q\N"), b"a\\b\tc\nAA\x04qN");
        let mut out = Vec::new();
        encode(b"a\\b\tc\n\r", &mut out);
        assert_eq!(decoded(&out), b"a\\b\tc\n\r");
    }
}
