//! Payments of which only the name is known, or was said again since they were read.
//!
//! Knows what was said and when; that such a payment is read is decided elsewhere.

use super::Payment;

impl Payment {
    /// True when it was named since it was last read.
    pub fn is_named_unread(&self) -> bool {
        self.named_at > self.read_at
    }

    /// True while all that is known of it is its name, and that from somebody who proved nothing.
    pub fn is_hearsay(&self) -> bool {
        let named_only = Payment {
            first_seen_at: self.first_seen_at,
            named_at: self.named_at,
            ..Payment::default()
        };
        self.named_at.is_some() && *self == named_only
    }
}
