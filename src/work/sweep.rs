//! The sweeper: starts at the PSP, not at our rows, so that a payment whose webhook never came
//! is found.
//!
//! Windows overlap; the mark moves only after a listing was read whole and everything it showed
//! is durable. Knows no rule of matching: what it finds goes to the engine as facts.

use super::attempt::Crew;
use super::exchange::exchange;
use super::{Next, Worker};
use crate::core::ids::AccountId;
use crate::core::time::{Span, Time};
use crate::engine::SweepWish;
use crate::engine::input::{Input, Swept};
use crate::psp::{PspAnswer, PspAsk};
use crate::roster::AccountEntry;
use crate::store::SweepMark;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How far a sweep reaches back behind the mark, for lists that lag and clocks that differ.
pub const OVERLAP: Span = Span::from_minutes(15);
/// How often the whole window is read again.
pub const WHOLE_WINDOW_EVERY: Span = Span::from_hours(1);
/// Pages of one listing in one sweep; what is left is read by the next.
pub const PAGES_MAX: u32 = 2_000;
/// Time limit of one page.
const PAGE_MAX: Span = Span::from_seconds(60);
/// The pause after a sweep that failed, unless sweeps come faster anyway: until one was whole
/// since the start no refund of the account leaves. It doubles with each further failure.
const AGAIN_AFTER: Span = Span::from_seconds(30);
/// The longest of these pauses.
const AGAIN_AFTER_MAX: Span = Span::from_minutes(15);

/// The worker.
pub struct Sweep {
    crew: Arc<Crew>,
    wishes: mpsc::Receiver<SweepWish>,
    due: BTreeMap<AccountId, Time>,
    whole_due: BTreeMap<AccountId, Time>,
    failures: BTreeMap<AccountId, u32>,
}

/// How long to wait after so many sweeps in a row that failed.
fn again_after(failures: u32, every: Span) -> Span {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1));
    let factor = doubled.unwrap_or(u64::MAX);
    let pause = Span::from_micros(AGAIN_AFTER.micros().saturating_mul(factor));
    pause.min(AGAIN_AFTER_MAX).min(every)
}

impl Sweep {
    /// A sweeper that looks at every account at once after the start.
    pub fn new(crew: Arc<Crew>, wishes: mpsc::Receiver<SweepWish>) -> Sweep {
        Sweep {
            crew,
            wishes,
            due: BTreeMap::new(),
            whole_due: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Sweeps one account; true when every listing was read whole.
    async fn sweep(
        &mut self,
        account: &AccountId,
        entry: &AccountEntry,
        since: Option<Time>,
    ) -> bool {
        let now = self.crew.clock.now();
        let marks = self.crew.store.sweep_marks().await.unwrap_or_default();
        let whole = self.whole_due.get(account).is_none_or(|at| *at <= now);
        let window = now.minus(entry.sweep_window.max(entry.adapter.pays_late()));
        let mut failed = None;
        let mut listed = 0_u64;
        for listing in 0..entry.adapter.listings() {
            let known = marks
                .iter()
                .find(|one| one.account == *account && one.listing == listing);
            let from = match (since, known) {
                (Some(since), _) => since,
                (None, Some(known)) if !whole => known.mark.minus(OVERLAP),
                (None, Some(known)) => window.min(known.mark.minus(OVERLAP)),
                (None, None) => window,
            };
            let from = entry.rules.since.map_or(from, |since| from.max(since));
            let result = self.list(account, entry, listing, (from, now)).await;
            if let Ok(count) = &result {
                listed = listed.saturating_add(*count);
            }
            let mark = SweepMark {
                account: account.clone(),
                listing,
                mark: result
                    .as_ref()
                    .map_or(known.map_or(from, |one| one.mark), |_| now),
                swept_at: match &result {
                    Ok(_) => Some(now),
                    Err(_) => known.and_then(|one| one.swept_at),
                },
                last_error: result.as_ref().err().cloned(),
            };
            if let Err(error) = self.crew.store.set_sweep_mark(&mark).await {
                tracing::warn!(%account, listing, %error, "the sweep's mark could not be kept");
                failed = Some("store_unavailable".to_owned());
            }
            if let Err(code) = result {
                tracing::warn!(%account, listing, code, "the sweep did not read its list whole");
                failed = Some(code);
            }
        }
        self.crew
            .telemetry
            .sweep_ended(account, failed.is_none(), listed);
        if failed.is_none() {
            self.crew.swept.add(account);
            if whole {
                self.whole_due
                    .insert(account.clone(), now.plus(WHOLE_WINDOW_EVERY));
            }
        }
        failed.is_none()
    }

    /// When an account is swept next, after a sweep that began at this moment.
    fn next_after(
        &mut self,
        account: &AccountId,
        every: Span,
        begun: Time,
        is_whole: bool,
    ) -> Time {
        if is_whole {
            self.failures.remove(account);
            return begun.plus(every);
        }
        let failures = self.failures.entry(account.clone()).or_insert(0);
        *failures = failures.saturating_add(1);
        let again = self.crew.clock.now().plus(again_after(*failures, every));
        again.min(begun.plus(every))
    }

    /// Reads one listing to its end; every page is durable before the next is asked for.
    async fn list(
        &self,
        account: &AccountId,
        entry: &AccountEntry,
        listing: u8,
        (from, to): (Time, Time),
    ) -> Result<u64, String> {
        let mut cursor = None;
        let mut count = 0_u64;
        for _ in 0..PAGES_MAX {
            let ask = PspAsk::List {
                listing,
                from,
                to,
                cursor,
            };
            let now = self.crew.clock.now();
            let adapter = entry.adapter.as_ref();
            let (answer, _) = exchange(&self.crew, adapter, &ask, now, now.plus(PAGE_MAX)).await;
            let (payments, hints, next) = match answer {
                PspAnswer::Page {
                    payments,
                    hints,
                    next,
                } => (payments, hints, next),
                PspAnswer::Seen(_) => return Err("not_a_page".to_owned()),
                PspAnswer::Failed(failure) => return Err(failure.code().to_owned()),
            };
            let shown = payments.len().saturating_add(hints.len());
            count = count.saturating_add(u64::try_from(shown).unwrap_or(u64::MAX));
            if shown > 0 {
                let (done, answer) = oneshot::channel();
                let swept = Swept {
                    account: account.clone(),
                    payments,
                    hints,
                    done,
                };
                let sent = self.crew.inputs.send(Input::Swept(swept)).await;
                sent.map_err(|_| "stopping".to_owned())?;
                self.crew.decide.give();
                let taken = answer.await.map_err(|_| "stopping".to_owned())?;
                taken.map_err(|error| error.code().to_owned())?;
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(count),
            }
        }
        Err("too_many_pages".to_owned())
    }
}

impl Worker for Sweep {
    async fn step(&mut self) -> Next {
        let roster = self.crew.roster.load_full();
        let mut wishes = Vec::new();
        while let Ok(wish) = self.wishes.try_recv() {
            wishes.push(wish);
        }
        let mut next: Option<Time> = None;
        for (account, entry) in &roster.accounts {
            let now = self.crew.clock.now();
            let wished = wishes
                .iter()
                .find(|wish| wish.account.as_ref().is_none_or(|one| one == account));
            let is_due = self.due.get(account).is_none_or(|at| *at <= now);
            if is_due || wished.is_some() {
                let since = wished.and_then(|wish| wish.since);
                let is_whole = self.sweep(account, entry, since).await;
                let next = self.next_after(account, entry.sweep_every, now, is_whole);
                self.due.insert(account.clone(), next);
            }
            let at = self.due.get(account).copied().unwrap_or(now);
            next = Some(next.map_or(at, |known| known.min(at)));
        }
        Next::Rest(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_sweeps_come_again_soon_then_rarer_and_never_rarer_than_the_others() {
        let hours = Span::from_hours(6);
        let pauses = |every| [1, 2, 3, 5, 6, 64, u32::MAX].map(|count| again_after(count, every));
        let seconds = |list: [u64; 7]| list.map(Span::from_seconds);
        assert_eq!(pauses(hours), seconds([30, 60, 120, 480, 900, 900, 900]));
        assert_eq!(pauses(Span::from_seconds(1)), seconds([1; 7]));
    }
}
