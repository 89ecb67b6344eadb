//! The world outside: the sandbox PSP and the sandbox shop, and the acts of people in it.
//!
//! Knows no daemon; writes into the ledger what an observer would see.

use super::act::{Act, PaidBy, Story};
use super::keys::{ACCOUNT, Keys};
use super::ledger::{Ledger, Touch};
use super::network::Side;
use crate::core::money::{Currency, Money};
use crate::core::time::{Span, Time};
use crate::sandbox::outbox::Delivery;
use crate::sandbox::psp::{PspSetup, SandboxPsp};
use crate::sandbox::shop::{SandboxShop, ShopOrder, Standing};
use crate::sandbox::world::World;
use std::collections::BTreeMap;

/// A shop's books as a backup has them.
type Backup = (BTreeMap<String, ShopOrder>, u64);

/// The world, with the notes taken in it.
pub struct Stage {
    /// Both sandboxes.
    pub world: World,
    /// The notes.
    pub ledger: Ledger,
    /// Which secrets are in use.
    pub keys: Keys,
    payments: BTreeMap<usize, Vec<String>>,
    backup: Option<Backup>,
    are_lists_lagging: bool,
    /// The daemon checks that the shop finds its orders before an `unknown` counts.
    pub has_canary: bool,
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

impl Stage {
    /// A world in which nothing has happened yet.
    pub fn new(is_shop_careless: bool, has_canary: bool) -> Stage {
        let keys = Keys {
            webhook: 1,
            shop: 1,
            api: 1,
        };
        let psp = SandboxPsp::new(PspSetup {
            api_key: keys.api_key(),
            webhook_secret: keys.webhook_secret(),
            is_live: false,
        });
        let mut shop = SandboxShop::new(keys.shop_secret());
        shop.set_careless(is_shop_careless);
        Stage {
            world: World { psp, shop },
            ledger: Ledger::default(),
            keys,
            payments: BTreeMap::new(),
            backup: None,
            are_lists_lagging: false,
            has_canary,
        }
    }

    fn payment(&self, story: &Story, slot: usize) -> Option<String> {
        self.payments.get(&story.number)?.get(slot).cloned()
    }

    fn started(&mut self, story: &Story, payment: String, owner: Option<&str>, now: Time) {
        if let Some(owner) = owner {
            self.ledger.owners.insert(payment.clone(), owner.to_owned());
        }
        let customer = owner.map_or_else(|| payment.clone(), str::to_owned);
        self.ledger.expects.insert(customer, story.expects);
        self.note_taken(&payment, now);
        if self.are_lists_lagging {
            self.world.psp.set_hidden(&payment, true);
        }
        self.payments.entry(story.number).or_default().push(payment);
    }

    /// Notes when money was first taken.
    pub(super) fn note_taken(&mut self, payment: &str, now: Time) {
        let records = self.world.psp.records();
        let is_held = records
            .payments
            .get(payment)
            .is_some_and(|one| one.held > 0);
        if records.received(payment) > 0 || is_held {
            self.ledger.taken.entry(payment.to_owned()).or_insert(now);
        }
    }

    /// What people do in a story. What cannot happen any more does not.
    pub fn act(&mut self, story: &Story, act: &Act, now: Time) {
        let reference = story.reference.as_str();
        let psp = &mut self.world.psp;
        match act {
            Act::Place { .. }
            | Act::Cancel { .. }
            | Act::ConfirmItself(_)
            | Act::Reprice(_)
            | Act::Ship
            | Act::NotYet(_) => self.act_in_the_shop(story, act, now),
            Act::Open(minor) => {
                let id = psp.open(Some(reference), eur(*minor), now);
                self.started(story, id, Some(reference), now);
            }
            Act::Pay(minor) => {
                let id = psp.pay(Some(reference), eur(*minor), now);
                self.started(story, id, Some(reference), now);
            }
            Act::PayUnnamed(minor) => {
                let id = psp.pay(None, eur(*minor), now);
                self.ledger.strangers.insert(id.clone());
                self.started(story, id, None, now);
            }
            Act::PayInOtherMode(minor) => {
                let id = psp.test_mode_payment(Some(reference), eur(*minor), now);
                self.started(story, id, Some(reference), now);
            }
            Act::Authorise(minor) => {
                let id = psp.authorise(Some(reference), eur(*minor), now);
                self.started(story, id, Some(reference), now);
            }
            Act::Succeed(slot)
            | Act::Fail(slot)
            | Act::Process(slot)
            | Act::Capture(slot)
            | Act::CaptureAgain(slot)
            | Act::Expire(slot)
            | Act::SlipIn(slot)
            | Act::StaffRefund(slot, _)
            | Act::Dispute(slot)
            | Act::CloseDispute(slot, _)
            | Act::FailRefund(slot)
            | Act::Hide(slot, _)
            | Act::TellAgain(slot) => {
                if let Some(payment) = self.payment(story, *slot) {
                    self.act_on_payment(&payment, act, now);
                    self.note_taken(&payment, now);
                }
            }
        }
    }

    fn act_on_payment(&mut self, payment: &str, act: &Act, now: Time) {
        let owner = self.ledger.owner(payment);
        let psp = &mut self.world.psp;
        let (is_done, touch) = match act {
            Act::Succeed(_) => (psp.succeed(payment, now).is_ok(), None),
            Act::Fail(_) => (psp.fail(payment, now).is_ok(), None),
            Act::Process(_) => (psp.process(payment, now).is_ok(), None),
            Act::Capture(_) => (psp.capture(payment, now).is_ok(), None),
            Act::CaptureAgain(_) => {
                let is_done = psp.capture_again(payment, now).is_ok();
                (is_done, Some(Touch::TakenTwice))
            }
            Act::Expire(_) => (psp.expire(payment, now).is_ok(), None),
            Act::TellAgain(_) => (psp.tell_again(payment, now).is_ok(), None),
            Act::SlipIn(_) => {
                psp.let_capture_slip_in(payment);
                (true, None)
            }
            Act::Hide(_, is_hidden) => {
                psp.set_hidden(payment, *is_hidden);
                (true, None)
            }
            Act::StaffRefund(_, part) => {
                let is_done = psp.staff_refund(payment, *part, now).is_ok();
                (is_done, Some(Touch::StaffRefunded))
            }
            Act::Dispute(_) => (psp.dispute(payment, now).is_ok(), Some(Touch::Disputed)),
            Act::CloseDispute(_, is_won) => {
                let mut disputes = psp.records().disputes.values();
                let found = disputes.rfind(|one| one.payment == payment);
                let found = found.map(|one| one.id.clone());
                let closed = found.map(|id| psp.close_dispute(&id, *is_won, now));
                (
                    closed.is_some_and(|done| done.is_ok()),
                    Some(Touch::Disputed),
                )
            }
            Act::FailRefund(_) => {
                let mut refunds = psp.records().refunds.values();
                let found = refunds.rfind(|one| one.payment == payment && one.status.stands());
                let found = found.map(|one| one.id.clone());
                let failed = found.map(|id| psp.fail_refund_later(&id, now));
                (
                    failed.is_some_and(|done| done.is_ok()),
                    Some(Touch::RefundFailed),
                )
            }
            Act::Place { .. }
            | Act::Open(_)
            | Act::Pay(_)
            | Act::PayUnnamed(_)
            | Act::PayInOtherMode(_)
            | Act::Authorise(_)
            | Act::Cancel { .. }
            | Act::ConfirmItself(_)
            | Act::Reprice(_)
            | Act::Ship
            | Act::NotYet(_) => (false, None),
        };
        if let Some(touch) = touch.filter(|_| is_done) {
            self.ledger.touch(&owner, touch);
        }
    }

    fn act_in_the_shop(&mut self, story: &Story, act: &Act, now: Time) {
        let reference = story.reference.as_str();
        let standing = self.world.shop.order(reference).map(|order| order.standing);
        match act {
            Act::Place {
                quietly,
                names_payments,
                expires_in,
            } => self.place(story, *quietly, *names_payments, *expires_in, now),
            Act::Cancel { quietly, revivable } if standing.is_some() => {
                if standing == Some(Standing::Confirmed) {
                    self.ledger.touch(reference, Touch::CancelledAfterConfirm);
                }
                self.ledger.cancelled.insert(reference.to_owned(), now);
                let shop = &mut self.world.shop;
                shop.change(reference, |order| order.is_revivable = *revivable);
                if *quietly {
                    shop.cancel_quietly(reference, "changed_mind");
                } else {
                    shop.cancel(reference, "changed_mind", now);
                }
            }
            Act::ConfirmItself(by) if standing.is_some() => self.confirm_itself(story, *by, now),
            Act::Reprice(minor) if standing.is_some() => {
                self.ledger.touch(reference, Touch::Repriced);
                let amounts = self.ledger.amounts.entry(reference.to_owned());
                amounts.or_default().push(*minor);
                self.world.shop.reprice(reference, eur(*minor), now);
            }
            Act::Ship if standing == Some(Standing::Confirmed) => {
                let shop = &mut self.world.shop;
                shop.change(reference, |order| order.is_fulfilled = true);
            }
            Act::NotYet(count) => {
                let shop = &mut self.world.shop;
                shop.change(reference, |order| order.not_yet = *count);
            }
            Act::Cancel { .. } | Act::ConfirmItself(_) | Act::Reprice(_) | Act::Ship => {}
            Act::Open(_)
            | Act::Pay(_)
            | Act::PayUnnamed(_)
            | Act::PayInOtherMode(_)
            | Act::Authorise(_)
            | Act::Succeed(_)
            | Act::Fail(_)
            | Act::Process(_)
            | Act::Capture(_)
            | Act::CaptureAgain(_)
            | Act::Expire(_)
            | Act::SlipIn(_)
            | Act::StaffRefund(..)
            | Act::Dispute(_)
            | Act::CloseDispute(..)
            | Act::FailRefund(_)
            | Act::Hide(..)
            | Act::TellAgain(_) => {}
        }
    }

    fn place(
        &mut self,
        story: &Story,
        quietly: bool,
        names_payments: bool,
        expires_in: Option<Span>,
        now: Time,
    ) {
        let reference = story.reference.as_str();
        let known = self
            .payments
            .get(&story.number)
            .cloned()
            .unwrap_or_default();
        let named: Vec<_> = known
            .iter()
            .filter(|_| names_payments)
            .map(|id| (ACCOUNT.to_owned(), id.clone()))
            .collect();
        let shop = &mut self.world.shop;
        if quietly {
            shop.place_quietly(reference, eur(story.price));
        } else {
            shop.place_with(reference, eur(story.price), &named, now);
        }
        if let Some(span) = expires_in {
            shop.change(reference, |order| order.expires_at = Some(now.plus(span)));
        }
        let claimed = named.into_iter().map(|(_, payment)| payment);
        let claims = self.ledger.claims.entry(reference.to_owned());
        claims.or_default().extend(claimed);
        let amounts = self.ledger.amounts.entry(reference.to_owned());
        amounts.or_default().push(story.price);
        let expects = self.ledger.expects.entry(reference.to_owned());
        expects.or_insert(story.expects);
    }

    fn confirm_itself(&mut self, story: &Story, by: PaidBy, now: Time) {
        let reference = story.reference.as_str();
        let payments = match by {
            PaidBy::Payment(slot) => self.payment(story, slot),
            PaidBy::Nobody => None,
            PaidBy::Stranger => Some("pi_of_another_till".to_owned()),
        };
        let account = match by {
            PaidBy::Stranger => "till",
            PaidBy::Payment(_) | PaidBy::Nobody => ACCOUNT,
        };
        let payments: Vec<_> = payments
            .into_iter()
            .map(|id| (account.to_owned(), id))
            .collect();
        let known = self.payments.get(&story.number).into_iter().flatten();
        let was_released = known.into_iter().any(|id| {
            let paid = (ACCOUNT.to_owned(), id.clone());
            self.world.shop.has_released(reference, &paid)
        });
        let standing = self.world.shop.order(reference).map(|order| order.standing);
        let is_pending = standing == Some(Standing::Pending);
        if !is_pending || was_released {
            // A shop of decent ways does not; staff does, and calm stories have none.
            if story.expects == super::act::Expects::Calm || standing == Some(Standing::Confirmed) {
                return;
            }
            self.ledger.touch(reference, Touch::BrokeItsWord);
        }
        self.ledger.touch(reference, Touch::ConfirmedItself);
        self.world.shop.confirm_itself(reference, &payments, now);
    }

    /// The deliveries that came about since the last time.
    pub fn take_deliveries(&mut self, now: Time) -> Vec<(Side, Delivery)> {
        let psp = self.world.psp.take_deliveries(now).into_iter();
        let psp: Vec<_> = psp.map(|one| (Side::Psp, one)).collect();
        let shop = self.world.shop.take_deliveries(now).into_iter();
        let shop = shop.map(|one| (Side::Shop, one));
        psp.into_iter().chain(shop).collect()
    }

    /// The PSP's lists show no payment that there is, or all of them again.
    pub fn let_lists_lag(&mut self, are_lagging: bool) {
        self.are_lists_lagging = are_lagging;
        for payment in self.payments.values().flatten() {
            self.world.psp.set_hidden(payment, are_lagging);
        }
    }

    /// A backup of the shop is made.
    pub fn back_up(&mut self) {
        self.backup = Some(self.world.shop.backup());
    }

    /// The shop is restored from the backup, if there is one.
    pub fn restore(&mut self) {
        let Some(backup) = self.backup.take() else {
            return;
        };
        let before = self.world.shop.orders().clone();
        self.world.shop.restore(backup);
        for (reference, order) in &before {
            let after = self.world.shop.order(reference);
            let was_asked = self.ledger.said.contains_key(reference);
            if after != Some(order) || was_asked {
                self.ledger.touch(reference, Touch::Restored);
            }
        }
    }

    /// Whatever is unfinished outside comes to its end.
    pub fn finish(&mut self, stories: &[Story], now: Time) {
        let psp = &mut self.world.psp;
        psp.heal();
        self.are_lists_lagging = false;
        psp.set_balance_low(false, now);
        psp.set_refunds_slow(false);
        psp.finish_refunds(now);
        self.world.shop.heal();
        self.world.shop.set_knows_nothing(false);
        for story in stories {
            let reference = story.reference.as_str();
            self.world.shop.change(reference, |order| order.not_yet = 0);
            let payments = self.payments.get(&story.number).cloned();
            for payment in payments.unwrap_or_default() {
                self.finish_payment(&payment, now);
            }
        }
    }

    fn finish_payment(&mut self, payment: &str, now: Time) {
        let owner = self.ledger.owner(payment);
        let standing = self.world.shop.order(&owner).map(|order| order.standing);
        let acts = [
            Act::Hide(0, false),
            Act::CloseDispute(0, false),
            // The shop captures what it still wants; the rest lapses.
            match standing {
                Some(Standing::Pending | Standing::Confirmed) => Act::Capture(0),
                Some(Standing::Cancelled) | None => Act::Expire(0),
            },
        ];
        for act in acts {
            let is_open_dispute = self.world.psp.records().disputes.values().any(|one| {
                one.payment == payment && one.status == crate::sandbox::psp::DisputeStatus::Open
            });
            if matches!(act, Act::CloseDispute(..)) && !is_open_dispute {
                continue;
            }
            self.act_on_payment(payment, &act, now);
        }
        self.note_taken(payment, now);
    }
}
