//! Form encoding, for queries and bodies alike, with Stripe's `a[b]=c` among it.
//!
//! Knows no endpoint and no PSP.

/// The fields in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=b&c=d`; none when an escape is broken.
    pub(super) fn parse(text: &str) -> Option<Form> {
        let fields = text.split('&').filter(|part| !part.is_empty());
        let pairs = fields.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        });
        pairs.collect::<Option<Vec<_>>>().map(Form)
    }

    /// The first value of a field.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fits = move |(known, _): &&(String, String)| known == name;
        self.0.iter().filter(fits).map(|(_, value)| value.as_str())
    }

    /// The entries of `name[...]`.
    pub(super) fn map(&self, name: &str) -> Vec<(String, String)> {
        let inner = |known: &str| {
            let rest = known.strip_prefix(name)?.strip_prefix('[')?;
            rest.strip_suffix(']').map(str::to_owned)
        };
        let entries = self.0.iter();
        entries
            .filter_map(|(known, value)| Some((inner(known)?, value.clone())))
            .collect()
    }

    /// The first field that is not among the known ones; `x[]` stands for `x[0]` and the like,
    /// `x[*]` for any entry.
    pub(super) fn unknown(&self, known: &[&str]) -> Option<&str> {
        let is_known = |name: &str| {
            known
                .iter()
                .any(|pattern| match pattern.strip_suffix("[*]") {
                    Some(map) => name
                        .strip_prefix(map)
                        .is_some_and(|rest| rest.starts_with('[')),
                    None => *pattern == name,
                })
        };
        let mut names = self.0.iter().map(|(name, _)| name.as_str());
        names.find(|name| !is_known(name))
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                decoded.extend(hex::decode(pair).ok()?);
            }
            plain => decoded.push(plain),
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_found() {
        let form = Form::parse("a=1&metadata%5Border%5D=W+2%2F%C3%A9&b[]=x&b[]=y&c").unwrap();
        assert_eq!(form.one("a"), Some("1"));
        assert_eq!(form.one("c"), Some(""));
        assert_eq!(form.one("z"), None);
        assert_eq!(form.all("b[]").collect::<Vec<_>>(), ["x", "y"]);
        let metadata = form.map("metadata");
        assert_eq!(metadata, [("order".to_owned(), "W 2/é".to_owned())]);
        assert_eq!(form.unknown(&["a", "metadata[*]", "b[]"]), Some("c"));
        assert_eq!(form.unknown(&["a", "metadata[*]", "b[]", "c"]), None);
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(Form::parse(text), None, "{text}");
        }
    }
}
