//! Customers' stories: the usual ways in which orders and payments come about, and the trouble
//! that people outside add to them.
//!
//! Draws everything from the story's own chance, so that leaving out one story changes no other.

use super::act::{Act, Expects, PaidBy, Story};
use super::chance::Chance;
use super::hazard::{Hazard, Luck};
use super::setting::Setting;
use crate::core::policy::Overpayment;
use crate::core::time::{Span, Time};

/// The kinds of stories.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Quiet,
    PaidFirst,
    Orphan,
    Twice,
    TooMuch,
    TooLittle,
    InParts,
    TenTimes,
    Unnamed,
    Captured,
    Lapsed,
    NoOrderHeld,
    SecondAttempt,
    Slow,
    CancelledBefore,
    ShopConfirms,
    CapturedTwice,
    NotYet,
    OtherMode,
    PaidOtherwise,
}

const KINDS: [(u32, Kind); 21] = [
    (20, Kind::Plain),
    (8, Kind::Quiet),
    (8, Kind::PaidFirst),
    (12, Kind::Orphan),
    (12, Kind::Twice),
    (6, Kind::TooMuch),
    (4, Kind::TooLittle),
    (4, Kind::InParts),
    (1, Kind::TenTimes),
    (4, Kind::Unnamed),
    (4, Kind::Captured),
    (2, Kind::Lapsed),
    (4, Kind::NoOrderHeld),
    (4, Kind::SecondAttempt),
    (4, Kind::Slow),
    (8, Kind::CancelledBefore),
    (4, Kind::ShopConfirms),
    (3, Kind::CapturedTwice),
    (3, Kind::NotYet),
    (1, Kind::OtherMode),
    (2, Kind::PaidOtherwise),
];

/// A story in the making.
struct Tale<'a> {
    chance: Chance,
    setting: &'a Setting,
    at: Time,
    price: i64,
    acts: Vec<(Time, Act)>,
    expects: Expects,
}

/// Tells the story of this number.
pub fn tell(number: usize, setting: &Setting, luck: &Luck) -> Story {
    let name = number.to_string();
    let mut chance = luck.chance(&["story", &name]);
    let kind = chance.weighted(&KINDS).unwrap_or(Kind::Plain);
    let start = chance.between(Span::ZERO, setting.arrivals);
    // Never 10, 100 or 1000 times another amount by accident.
    let price = i64::try_from(chance.below(40_000))
        .unwrap_or(0)
        .saturating_mul(2);
    let price = price.saturating_add(1_001);
    let mut tale = Tale {
        chance,
        setting,
        at: setting.begins.plus(start),
        price,
        acts: Vec::new(),
        expects: Expects::Calm,
    };
    tale.play(kind);
    tale.add_trouble(luck, &name);
    tale.acts.sort_by_key(|(at, _)| *at);
    Story {
        number,
        reference: format!("R{number:04}"),
        price: tale.price,
        expects: tale.expects,
        title: format!("{kind:?}"),
        acts: tale.acts,
    }
}

/// Adds one trouble to a story.
type Add<'a> = fn(&mut Tale<'a>);

impl<'a> Tale<'a> {
    /// Time passes: between these two lengths, any order of magnitude.
    fn later(&mut self, least: Span, most: Span) {
        let span = self.chance.widely(least, most);
        self.at = self.at.plus(span);
    }

    fn soon(&mut self) {
        self.later(Span::from_millis(100), Span::from_minutes(10));
    }

    fn act(&mut self, act: Act) {
        let at = self.at.min(self.setting.acts_end());
        self.acts.push((at, act));
    }

    fn place(&mut self) {
        let expires_in = self.chance.hits(200).then(|| {
            self.chance
                .between(Span::from_minutes(5), Span::from_hours(2))
        });
        self.act(Act::Place {
            quietly: false,
            names_payments: false,
            expires_in,
        });
    }

    fn place_quietly(&mut self) {
        self.act(Act::Place {
            quietly: true,
            names_payments: false,
            expires_in: None,
        });
    }

    /// A part of the price, in percent between these two.
    fn part(&mut self, least: u64, most: u64) -> i64 {
        let percent = self
            .chance
            .below(most.saturating_sub(least))
            .saturating_add(least);
        let percent = i64::try_from(percent).unwrap_or(1);
        let part = self.price.saturating_mul(percent).checked_div(100);
        part.unwrap_or(1).max(1)
    }

    fn play(&mut self, kind: Kind) {
        match kind {
            Kind::Plain => self.place_and_pay(),
            Kind::Twice => {
                self.place_and_pay();
                self.later(Span::from_millis(1), Span::from_hours(6));
                self.act(Act::Pay(self.price));
            }
            Kind::NotYet => {
                self.place_and_pay();
                let count = u32::try_from(self.chance.below(4)).unwrap_or(0);
                let placed = self.acts.first().map_or(self.at, |(at, _)| *at);
                let soon = placed.plus(Span::from_micros(1));
                self.acts.push((soon, Act::NotYet(count.saturating_add(1))));
            }
            Kind::ShopConfirms => {
                self.place_and_pay();
                let by = match self.chance.below(3) {
                    0 => PaidBy::Nobody,
                    _ => PaidBy::Payment(0),
                };
                self.later(Span::from_millis(1), Span::from_hours(1));
                self.act(Act::ConfirmItself(by));
            }
            Kind::Quiet => {
                self.place_quietly();
                self.soon();
                self.act(Act::Pay(self.price));
            }
            Kind::PaidFirst => {
                self.act(Act::Pay(self.price));
                self.later(Span::from_millis(50), Span::from_hours(1));
                self.place();
            }
            Kind::Orphan => self.act(Act::Pay(self.price)),
            Kind::TooMuch => {
                let more = self.part(1, 40);
                self.place_and_pay_amount(self.price.saturating_add(more));
                self.calm_unless(self.setting.policy.overpayment == Overpayment::Hold);
            }
            Kind::TooLittle => {
                let part = self.part(20, 99);
                self.place_and_pay_amount(part);
                self.calm_unless(true);
            }
            Kind::InParts => {
                let part = self.part(55, 90);
                self.place_and_pay_amount(part);
                self.later(Span::from_seconds(1), Span::from_minutes(10));
                self.act(Act::Pay(self.price.saturating_sub(part)));
                self.calm_unless(true);
            }
            Kind::TenTimes => {
                self.place_and_pay_amount(self.price.saturating_mul(10));
                self.calm_unless(true);
            }
            Kind::Unnamed
            | Kind::Captured
            | Kind::Lapsed
            | Kind::NoOrderHeld
            | Kind::SecondAttempt
            | Kind::Slow
            | Kind::CancelledBefore
            | Kind::CapturedTwice
            | Kind::OtherMode
            | Kind::PaidOtherwise => self.play_seldom(kind),
        }
    }

    fn play_seldom(&mut self, kind: Kind) {
        match kind {
            Kind::Plain
            | Kind::Twice
            | Kind::NotYet
            | Kind::ShopConfirms
            | Kind::Quiet
            | Kind::PaidFirst
            | Kind::Orphan
            | Kind::TooMuch
            | Kind::TooLittle
            | Kind::InParts
            | Kind::TenTimes => {}
            Kind::Unnamed => self.play_unnamed(),
            Kind::Captured | Kind::Lapsed => {
                self.place();
                self.soon();
                self.act(Act::Authorise(self.price));
                self.later(Span::from_seconds(1), Span::from_hours(12));
                let is_captured = matches!(kind, Kind::Captured);
                self.act(if is_captured {
                    Act::Capture(0)
                } else {
                    Act::Expire(0)
                });
            }
            Kind::NoOrderHeld => {
                self.act(Act::Authorise(self.price));
                if self.chance.hits(300) {
                    self.act(Act::SlipIn(0));
                }
            }
            Kind::SecondAttempt => {
                self.place();
                self.act(Act::Open(self.price));
                self.soon();
                self.act(Act::Fail(0));
                self.soon();
                self.act(Act::Succeed(0));
            }
            Kind::Slow => self.play_slow(),
            Kind::CancelledBefore => self.play_cancelled(),
            Kind::CapturedTwice => {
                self.place_and_pay();
                self.later(Span::from_seconds(1), Span::from_hours(2));
                self.act(Act::CaptureAgain(0));
                self.calm_unless(self.setting.policy.overpayment == Overpayment::Hold);
            }
            Kind::OtherMode => {
                self.place();
                self.act(Act::PayInOtherMode(self.price));
            }
            Kind::PaidOtherwise => {
                self.place();
                self.soon();
                self.act(Act::ConfirmItself(PaidBy::Stranger));
                self.soon();
                self.act(Act::Pay(self.price));
            }
        }
    }

    fn place_and_pay(&mut self) {
        self.place_and_pay_amount(self.price);
    }

    fn place_and_pay_amount(&mut self, minor: i64) {
        self.place();
        self.soon();
        self.act(Act::Pay(minor));
    }

    fn calm_unless(&mut self, is_wild: bool) {
        if is_wild {
            self.expects = Expects::Anything;
        }
    }

    fn play_unnamed(&mut self) {
        self.act(Act::PayUnnamed(self.price));
        if self.chance.hits(600) {
            self.later(Span::from_millis(50), Span::from_hours(1));
            self.act(Act::Place {
                quietly: false,
                names_payments: true,
                expires_in: None,
            });
        }
        self.calm_unless(true);
    }

    fn play_slow(&mut self) {
        self.place();
        self.act(Act::Open(self.price));
        self.soon();
        self.act(Act::Process(0));
        self.later(Span::from_minutes(1), Span::from_days(3));
        let is_paid = self.chance.hits(700);
        self.act(if is_paid {
            Act::Succeed(0)
        } else {
            Act::Fail(0)
        });
    }

    fn play_cancelled(&mut self) {
        self.place();
        self.soon();
        let (quietly, revivable) = (self.chance.hits(400), self.chance.hits(400));
        self.act(Act::Cancel { quietly, revivable });
        if self.chance.hits(500) {
            // The payer was paying while it was cancelled.
            self.at = self.at.minus(Span::from_seconds(1));
        } else {
            self.soon();
        }
        self.act(Act::Pay(self.price));
    }

    /// What staff, banks and payers add, where this run has such trouble.
    fn add_trouble(&mut self, luck: &Luck, name: &str) {
        let troubles: [(Hazard, Add<'a>); 4] = [
            (Hazard::StaffRefund, |tale| {
                let part = tale.chance.hits(400).then(|| tale.part(5, 95));
                tale.act(Act::StaffRefund(0, part));
            }),
            (Hazard::ShopStaff, Tale::staff_in_the_shop),
            (Hazard::Dispute, |tale| {
                tale.act(Act::Dispute(0));
                tale.later(Span::from_minutes(1), Span::from_days(2));
                let is_won = tale.chance.hits(500);
                tale.act(Act::CloseDispute(0, is_won));
            }),
            (Hazard::RefundFails, |tale| tale.act(Act::FailRefund(0))),
        ];
        for (hazard, add) in troubles {
            let per_mille = luck.weight(hazard).saturating_mul(2);
            if luck.strikes_at(hazard, &["story", name], per_mille) {
                self.expects = Expects::Anything;
                self.at = self.acts.last().map_or(self.at, |(at, _)| *at);
                self.later(Span::from_millis(10), Span::from_days(2));
                add(self);
            }
        }
    }

    fn staff_in_the_shop(&mut self) {
        let quietly = self.chance.hits(500);
        match self.chance.below(6) {
            0 | 1 => {
                let revivable = self.chance.hits(300);
                self.act(Act::Cancel { quietly, revivable });
            }
            2 => {
                let more = self.part(101, 150);
                self.act(Act::Reprice(more));
            }
            3 => {
                let less = self.part(50, 99);
                self.act(Act::Reprice(less));
            }
            4 => self.act(Act::ConfirmItself(PaidBy::Payment(0))),
            _ => self.act(Act::Ship),
        }
    }
}
