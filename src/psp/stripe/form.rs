//! Query strings and bodies the way Stripe takes them: `a[b]=c`, percent-encoded.
//!
//! Everything outside the unreserved characters is encoded, brackets and spaces included, so
//! that no value can become a second parameter. Knows no endpoint.

/// Parameters in the order they were added.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(String);

impl Form {
    /// With one more parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Form {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(name, &mut self.0);
        self.0.push('=');
        encode(value, &mut self.0);
        self
    }

    /// The encoded text.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_become_a_second_parameter() {
        let form = Form::default()
            .with("metadata[key]", "a&b=c d+é/%")
            .with("limit", "100");
        assert_eq!(
            form.text(),
            "metadata%5Bkey%5D=a%26b%3Dc%20d%2B%C3%A9%2F%25&limit=100"
        );
    }
}
