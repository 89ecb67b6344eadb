//! What an account can be asked about itself: its key, its rights, its mode, its webhooks.
//!
//! For `check --online`: questions that change nothing, and what their answers say. Knows no PSP.
//! What an answer does not say is unknown here, and never a verdict. Nothing that a PSP wrote is
//! repeated unless it is known to be no secret.

use crate::wire::{Failure, Reply, Request};

/// Most webhook endpoints that are shown of one account.
const ENDPOINTS_MAX: usize = 32;
/// Most event types that are shown of one endpoint.
const EVENTS_MAX: usize = 64;
/// Longest address or event type that is shown, in bytes.
const SHOWN_BYTES_MAX: usize = 200;

/// What the shop's mode needs of the key, beside reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// It must be able to give money back.
    pub refunds: bool,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The PSP knows the key.
    Key,
    /// The key may read what the daemon reads.
    Read,
    /// The key may give money back.
    Refund,
    /// The key is of the mode configured.
    Mode,
    /// Where the PSP delivers to.
    Webhooks,
}

impl Topic {
    /// A stable word.
    pub fn word(self) -> &'static str {
        match self {
            Topic::Key => "key",
            Topic::Read => "read",
            Topic::Refund => "refund",
            Topic::Mode => "mode",
            Topic::Webhooks => "webhooks",
        }
    }
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// As it should be.
    Yes,
    /// The PSP says no.
    No,
    /// There is no harmless question.
    CannotBeAsked,
    /// Asked, and the answer does not say.
    Unknown,
    /// No usable answer came.
    NoAnswer,
}

impl Says {
    /// A stable word.
    pub fn word(self) -> &'static str {
        match self {
            Says::Yes => "yes",
            Says::No => "no",
            Says::CannotBeAsked => "cannot_be_asked",
            Says::Unknown => "unknown",
            Says::NoAnswer => "no_answer",
        }
    }
}

/// One topic with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was asked about.
    pub topic: Topic,
    /// What came of it.
    pub says: Says,
    /// Why, for people; holds no secret.
    pub why: String,
}

impl Finding {
    /// A finding.
    pub fn new(topic: Topic, says: Says, why: impl Into<String>) -> Finding {
        let why = why.into();
        Finding { topic, says, why }
    }
}

/// Where a PSP delivers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address; of one that may not be ours only the host.
    pub address: String,
    /// True when its path is the one that this account's deliveries are taken at.
    pub is_ours: bool,
    /// Whether it is switched on, where that is said.
    pub is_on: Option<bool>,
    /// The event types it is told of.
    pub events: Vec<String>,
}

impl Endpoint {
    /// An endpoint at this address. Strangers' paths may hold secrets, and so may any query.
    pub(crate) fn new(url: &str, account: &str, is_on: Option<bool>, events: Vec<String>) -> Self {
        let bare = url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit('@').next().unwrap_or_default();
        let own = format!("webhooks/{account}");
        let is_ours = path == own || path.ends_with(&format!("/{own}"));
        let path = if is_ours { path } else { "…" };
        Endpoint {
            address: plain(&format!("{scheme}://{host}/{path}")),
            is_ours,
            is_on,
            events: events.iter().take(EVENTS_MAX).map(|e| plain(e)).collect(),
        }
    }
}

/// Printable and bounded.
fn plain(text: &str) -> String {
    let fits = |c: &char| !c.is_control();
    text.chars()
        .filter(fits)
        .take(SHOWN_BYTES_MAX)
        .collect::<String>()
}

/// What an inquiry found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// One for each topic, at most.
    pub findings: Vec<Finding>,
    /// The webhook endpoints that were listed.
    pub endpoints: Vec<Endpoint>,
}

impl Findings {
    /// An adapter that has no questions.
    pub fn cannot_be_asked(needs: Needs) -> Findings {
        let refund = needs.refunds.then_some(Topic::Refund);
        let topics = [Topic::Key, Topic::Read].into_iter().chain(refund);
        let topics = topics.chain([Topic::Mode, Topic::Webhooks]);
        let why = "there is no question for this kind of PSP yet";
        Findings {
            findings: topics
                .map(|topic| Finding::new(topic, Says::CannotBeAsked, why))
                .collect(),
            endpoints: Vec::new(),
        }
    }

    /// The account could not be signed in to.
    pub fn not_signed_in(failure: &Failure) -> Findings {
        let says = match failure {
            Failure::Unauthorized(_) | Failure::Refused(_) => Says::No,
            Failure::NotSent(_)
            | Failure::Unclear(_)
            | Failure::Throttled { .. }
            | Failure::Postponed { .. }
            | Failure::Malformed(_) => Says::NoAnswer,
        };
        let why = format!("signing in failed ({})", failure.code());
        Findings {
            findings: vec![Finding::new(Topic::Key, says, why)],
            endpoints: Vec::new(),
        }
    }

    /// The endpoints, and what they say of this account's own.
    pub(crate) fn list(&mut self, endpoints: Vec<Endpoint>) {
        let own = endpoints.iter().filter(|one| one.is_ours).count();
        let on = |one: &&Endpoint| one.is_ours && one.is_on != Some(false);
        let finding = match (own, endpoints.iter().find(on)) {
            (0, _) => (
                Says::Unknown,
                "none has this account's path; a proxy may change it",
            ),
            (_, None) => (Says::No, "this account's endpoint is switched off"),
            (_, Some(_)) => (Says::Yes, "an endpoint has this account's path"),
        };
        let (says, why) = finding;
        self.findings.push(Finding::new(Topic::Webhooks, says, why));
        self.endpoints = endpoints.into_iter().take(ENDPOINTS_MAX).collect();
    }
}

/// The next step of an inquiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// Send this and come back with its reply appended.
    Send(Request),
    /// All is asked.
    Done(Findings),
}

/// A read that the daemon makes, and what came of it.
pub(crate) struct Tried {
    /// What is read, for people.
    pub(crate) what: &'static str,
    /// What came of it.
    pub(crate) result: Result<(), Failure>,
    /// The status of the answer, where one came.
    pub(crate) status: Option<u16>,
}

impl Tried {
    /// A read with its reply and what the adapter makes of it.
    pub(crate) fn new(what: &'static str, reply: &Reply, result: Result<(), Failure>) -> Tried {
        Tried {
            what,
            result,
            status: reply.as_ref().ok().map(|response| response.status),
        }
    }

    fn is_key_refused(&self) -> bool {
        self.is_refused() && self.status != Some(403)
    }

    fn is_right_missing(&self) -> bool {
        self.is_refused() && self.status == Some(403)
    }

    fn is_refused(&self) -> bool {
        matches!(self.result, Err(Failure::Unauthorized(_)))
    }

    fn code(&self) -> &str {
        self.result.as_ref().err().map_or("ok", Failure::code)
    }
}

/// What the reads say of the key and of its right to read. Whoever is told that it may not was
/// known; whoever got no answer learned nothing.
pub(crate) fn key_and_read(tried: &[Tried]) -> Vec<Finding> {
    if let Some(refused) = tried.iter().find(|one| one.is_key_refused()) {
        let why = format!("the PSP does not accept it ({})", refused.code());
        return vec![Finding::new(Topic::Key, Says::No, why)];
    }
    let is_known = |one: &&Tried| one.result.is_ok() || one.is_right_missing();
    let key = match tried.iter().find(is_known) {
        Some(_) => Finding::new(Topic::Key, Says::Yes, "the PSP accepts it"),
        None => {
            let code = tried.first().map_or("not_asked", Tried::code);
            let why = format!("no usable answer ({code})");
            return vec![Finding::new(Topic::Key, Says::NoAnswer, why)];
        }
    };
    let named = |fits: &dyn Fn(&Tried) -> bool| -> String {
        let fitting = tried.iter().filter(|one| fits(one));
        fitting.map(|one| one.what).collect::<Vec<_>>().join(", ")
    };
    let missing = named(&Tried::is_right_missing);
    let silent = named(&|one| one.result.is_err() && !one.is_right_missing());
    let read = if !missing.is_empty() {
        (Says::No, format!("it may not read: {missing}"))
    } else if !silent.is_empty() {
        (Says::NoAnswer, format!("no usable answer: {silent}"))
    } else {
        let all = named(&|_| true);
        (Says::Yes, format!("it may read: {all}"))
    };
    vec![key, Finding::new(Topic::Read, read.0, read.1)]
}

/// What is known of the mode: by what the key or host is, and by what a read showed.
pub(crate) fn mode(is_live: bool, by_key: Option<bool>, by_read: Option<bool>) -> Finding {
    let word = |is_live: bool| if is_live { "live" } else { "test" };
    let told = [(by_read, "what it reads is"), (by_key, "it is")];
    let told = told.into_iter().filter_map(|(is, how)| Some((is?, how)));
    let told: Vec<(bool, &str)> = told.collect();
    let wrong = told.iter().find(|(is, _)| *is != is_live);
    let (says, why) = match (wrong, told.first()) {
        (Some((is, how)), _) => (
            Says::No,
            format!("{how} {}, configured is {}", word(*is), word(is_live)),
        ),
        (None, Some((is, how))) => (Says::Yes, format!("{how} {}", word(*is))),
        (None, None) => (
            Says::Unknown,
            "no answer so far says which mode it is".to_owned(),
        ),
    };
    Finding::new(Topic::Mode, says, why)
}

/// The right to give money back, where only a refund would show it.
pub(crate) fn refund_cannot_be_asked(needs: Needs) -> Option<Finding> {
    let why = "only a refund would show it";
    let finding = || Finding::new(Topic::Refund, Says::CannotBeAsked, why);
    needs.refunds.then(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Headers, Response};

    fn tried(what: &'static str, status: u16, result: Result<(), Failure>) -> Tried {
        let response = Response {
            status,
            headers: Headers::new(),
            body: Vec::new(),
        };
        Tried::new(what, &Ok(response), result)
    }

    fn refused(status: u16) -> Result<(), Failure> {
        Err(Failure::Unauthorized(format!("status_{status}")))
    }

    fn says(findings: &[Finding]) -> Vec<(Topic, Says)> {
        let pairs = findings.iter().map(|one| (one.topic, one.says));
        pairs.collect()
    }

    #[test]
    fn a_refused_key_is_told_from_a_missing_right_and_from_silence() {
        let key = key_and_read(&[tried("payments", 401, refused(401))]);
        assert_eq!(says(&key), [(Topic::Key, Says::No)]);
        let right = key_and_read(&[
            tried("payments", 200, Ok(())),
            tried("refunds", 403, refused(403)),
        ]);
        let expected = [(Topic::Key, Says::Yes), (Topic::Read, Says::No)];
        assert_eq!(says(&right), expected);
        assert!(right[1].why.ends_with("refunds"), "{right:?}");
        let unclear = || Err(Failure::Unclear("timeout".to_owned()));
        let silent = key_and_read(&[tried("payments", 503, unclear())]);
        assert_eq!(says(&silent), [(Topic::Key, Says::NoAnswer)]);
        let half = key_and_read(&[
            tried("payments", 200, Ok(())),
            tried("refunds", 503, unclear()),
        ]);
        let expected = [(Topic::Key, Says::Yes), (Topic::Read, Says::NoAnswer)];
        assert_eq!(says(&half), expected);
    }

    #[test]
    fn a_mode_is_only_wrong_where_something_says_so() {
        let ruling = |by_key, by_read| mode(true, by_key, by_read).says;
        assert_eq!(ruling(None, None), Says::Unknown);
        assert_eq!(ruling(Some(true), None), Says::Yes);
        assert_eq!(ruling(None, Some(true)), Says::Yes);
        assert_eq!(ruling(Some(false), None), Says::No);
        assert_eq!(ruling(Some(true), Some(false)), Says::No);
    }

    #[test]
    fn no_part_of_an_address_that_may_be_secret_is_shown() {
        let shown = |url| Endpoint::new(url, "stripe_nl", None, Vec::new());
        let ours = shown("https://u:hunter2@pay.example/in/webhooks/stripe_nl?token=hunter2#x");
        assert_eq!(ours.address, "https://pay.example/in/webhooks/stripe_nl");
        assert!(ours.is_ours);
        let theirs = shown("https://hooks.example/services/hunter2");
        assert_eq!(theirs.address, "https://hooks.example/…");
        assert!(!theirs.is_ours);
        assert!(!shown("https://a.example/xwebhooks/stripe_nl").is_ours);
        assert!(!shown("https://a.example/webhooks/stripe_nl2").is_ours);
    }

    #[test]
    fn an_endpoint_that_is_off_is_a_no_and_one_elsewhere_is_not_known() {
        let ruling = |url, is_on| {
            let mut findings = Findings::default();
            findings.list(vec![Endpoint::new(url, "a", Some(is_on), Vec::new())]);
            findings.findings[0].says
        };
        assert_eq!(ruling("https://x.example/webhooks/a", true), Says::Yes);
        assert_eq!(ruling("https://x.example/webhooks/a", false), Says::No);
        assert_eq!(ruling("https://x.example/hook", true), Says::Unknown);
    }

    #[test]
    fn an_adapter_without_questions_says_so_of_everything() {
        let all = Findings::cannot_be_asked(Needs { refunds: true });
        assert_eq!(all.findings.len(), 5);
        let mut each = all.findings.iter();
        assert!(each.all(|one| one.says == Says::CannotBeAsked));
        let reading = Findings::cannot_be_asked(Needs { refunds: false });
        let mut topics = reading.findings.iter().map(|one| one.topic);
        assert!(topics.all(|topic| topic != Topic::Refund));
    }
}
