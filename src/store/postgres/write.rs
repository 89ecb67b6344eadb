//! Writing the tables of a commit, one statement each for all of its units.
//!
//! Each column becomes an array. Whether the rows may be written was judged before.

use super::commit::names;
use super::connect::Session;
use super::error::Fault;
use super::sql;
use crate::core::ids::{CheckoutRef, PaymentRef};
use crate::core::plan::Planned;
use crate::store::rows::{content, destination_code, epoch_code, lane};
use crate::store::{
    CheckoutCommit, CheckoutRow, CommitUnit, Disposition, JournalEntry, StoreError,
};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use std::collections::BTreeMap;

/// One column of the commits' rows.
fn of_rows<'a, T>(commits: &[&'a CheckoutCommit], of: impl Fn(&'a CheckoutRow) -> T) -> Vec<T> {
    commits.iter().map(|commit| of(&commit.row)).collect()
}

/// One column of the commits' journal entries.
fn of_entries<'a, T>(commits: &[&'a CheckoutCommit], of: impl Fn(&'a JournalEntry) -> T) -> Vec<T> {
    commits.iter().map(|commit| of(&commit.entry)).collect()
}

/// Each at the version after the one that was judged; else another transaction made or changed it
/// meanwhile.
pub(super) async fn checkouts(
    session: &mut Session,
    commits: &[&CheckoutCommit],
) -> Result<(), Fault> {
    let (new, known): (Vec<&CheckoutCommit>, Vec<&CheckoutCommit>) =
        commits.iter().partition(|commit| commit.row.version == 1);
    for (statement, commits) in [(sql::INSERT_CHECKOUTS, new), (sql::UPDATE_CHECKOUTS, known)] {
        if commits.is_empty() {
            continue;
        }
        let written = session.run(checkout_rows(statement, &commits)).await?;
        if usize::try_from(written) != Ok(commits.len()) {
            let why = "a checkout was changed by another transaction meanwhile".to_owned();
            return Err(Fault::Overtaken(StoreError::Unavailable(why)));
        }
    }
    Ok(())
}

fn checkout_rows<'a>(
    statement: &'static str,
    commits: &[&'a CheckoutCommit],
) -> Query<'a, Postgres, PgArguments> {
    let suspense = |row: &CheckoutRow| row.in_suspense.map(|money| money.minor());
    let currency = |row: &CheckoutRow| row.in_suspense.map(|money| String::from(money.currency()));
    sqlx::query(statement)
        .bind(of_rows(commits, |row| row.id.as_str()))
        .bind(of_rows(commits, |row| row.shop.as_str()))
        .bind(of_rows(commits, |row| {
            row.reference.as_ref().map(|reference| reference.as_str())
        }))
        .bind(of_rows(commits, |row| row.verdict.code()))
        .bind(of_rows(commits, |row| row.reason.code()))
        .bind(of_rows(commits, |row| row.since.micros()))
        .bind(of_rows(commits, |row| row.created_at.micros()))
        .bind(of_entries(commits, |entry| entry.at.micros()))
        .bind(of_rows(commits, suspense))
        .bind(of_rows(commits, currency))
        .bind(of_rows(commits, |row| row.wake_at.map(|at| at.micros())))
        .bind(of_rows(commits, |row| row.version))
        .bind(of_rows(commits, |row| row.head.as_str()))
        .bind(of_rows(commits, |row| row.document.as_bytes()))
}

pub(super) async fn journal(
    session: &mut Session,
    commits: &[&CheckoutCommit],
) -> Result<(), Fault> {
    let query = sqlx::query(sql::INSERT_JOURNAL)
        .bind(of_entries(commits, |entry| entry.checkout.as_str()))
        .bind(of_entries(commits, |entry| entry.seq))
        .bind(of_rows(commits, |row| row.shop.as_str()))
        .bind(of_entries(commits, |entry| entry.at.micros()))
        .bind(of_entries(commits, |entry| entry.facts.as_bytes()))
        .bind(of_entries(commits, |entry| entry.decision.as_bytes()))
        .bind(of_entries(commits, |entry| entry.previous.as_str()))
        .bind(of_entries(commits, |entry| entry.hash.as_str()));
    session.run(query).await?;
    Ok(())
}

/// Records the homes of payments that are new or have moved; most commits name no such one.
pub(super) async fn payments(
    session: &mut Session,
    commits: &[&CheckoutCommit],
    homes: &BTreeMap<PaymentRef, CheckoutRef>,
) -> Result<(), Fault> {
    let mut named = Vec::new();
    for commit in commits {
        named.extend(commit.payments.iter().map(|payment| (payment, &commit.row)));
    }
    named.sort_by_key(|(payment, _)| *payment);
    let (moved, new): (Vec<_>, Vec<_>) = named
        .into_iter()
        .filter(|(payment, row)| homes.get(payment).is_none_or(|home| home.id != row.id))
        .partition(|(payment, _)| homes.contains_key(payment));
    for (statement, rows) in [(sql::INSERT_PAYMENTS, new), (sql::MOVE_PAYMENTS, moved)] {
        if rows.is_empty() {
            continue;
        }
        let column = |of: fn(&PaymentRef, &CheckoutRow) -> String| -> Vec<String> {
            rows.iter().map(|(payment, row)| of(payment, row)).collect()
        };
        let query = sqlx::query(statement)
            .bind(column(|payment, _| payment.account.to_string()))
            .bind(column(|payment, _| payment.id.to_string()))
            .bind(column(|_, row| row.shop.to_string()))
            .bind(column(|_, row| row.id.to_string()));
        session.run(query).await?;
    }
    Ok(())
}

/// Ends leases, takes the wanted actions over, and lets go of what is no longer wanted.
pub(super) async fn actions(
    session: &mut Session,
    commits: &[&CheckoutCommit],
) -> Result<(), Fault> {
    let (mut released, mut ended) = (Vec::new(), Vec::new());
    for commit in commits {
        for (key, token) in &commit.released {
            let those = if commit.wants(key) {
                &mut released
            } else {
                &mut ended
            };
            those.push((&commit.row, key.as_str(), token.as_str()));
        }
    }
    for (statement, rows) in [
        (sql::RELEASE_ACTIONS, released),
        (sql::DELETE_ENDED_ACTIONS, ended),
    ] {
        if !rows.is_empty() {
            let (shops, ids) = names(rows.iter().map(|(row, ..)| (&row.shop, &row.id)));
            let query = sqlx::query(statement)
                .bind(shops)
                .bind(ids)
                .bind(rows.iter().map(|(_, key, _)| *key).collect::<Vec<_>>())
                .bind(rows.iter().map(|(.., token)| *token).collect::<Vec<_>>());
            session.run(query).await?;
        }
    }
    want(session, commits).await?;
    let rows = commits.iter().map(|commit| &commit.row);
    let continued: Vec<&CheckoutRow> = rows.filter(|row| row.version > 1).collect();
    if !continued.is_empty() {
        let (shops, ids) = names(continued.iter().map(|row| (&row.shop, &row.id)));
        let query = sqlx::query(sql::DELETE_UNWANTED_ACTIONS)
            .bind(shops)
            .bind(ids)
            .bind(continued.iter().map(|row| row.version).collect::<Vec<_>>());
        session.run(query).await?;
    }
    Ok(())
}

/// One column of what is wanted.
fn of_wanted<'a, T>(
    wanted: &[(&'a CheckoutRow, &'a Planned)],
    of: impl Fn(&'a CheckoutRow, &'a Planned) -> T,
) -> Vec<T> {
    wanted.iter().map(|(row, one)| of(row, one)).collect()
}

/// What a known checkout wants may be there already; what a new one wants cannot be.
async fn want(session: &mut Session, commits: &[&CheckoutCommit]) -> Result<(), Fault> {
    let mut wanted: Vec<(&CheckoutRow, &Planned)> = Vec::new();
    for commit in commits {
        wanted.extend(commit.actions.iter().map(|planned| (&commit.row, planned)));
    }
    wanted.sort_by(|(row, one), (other_row, other)| {
        (&row.id, &one.key).cmp(&(&other_row.id, &other.key))
    });
    let known = wanted.iter().copied().filter(|(row, _)| row.version > 1);
    let known: Vec<(&CheckoutRow, &Planned)> = known.collect();
    for (statement, rows) in [(sql::UPDATE_ACTIONS, known), (sql::INSERT_ACTIONS, wanted)] {
        if !rows.is_empty() {
            session.run(action_rows(statement, &rows)?).await?;
        }
    }
    Ok(())
}

fn action_rows<'a>(
    statement: &'static str,
    wanted: &[(&'a CheckoutRow, &'a Planned)],
) -> Result<Query<'a, Postgres, PgArguments>, StoreError> {
    let contents: Result<Vec<String>, StoreError> =
        wanted.iter().map(|(_, planned)| content(planned)).collect();
    Ok(sqlx::query(statement)
        .bind(of_wanted(wanted, |row, _| row.id.as_str()))
        .bind(of_wanted(wanted, |_, one| one.key.as_str()))
        .bind(of_wanted(wanted, |row, _| row.version))
        .bind(of_wanted(wanted, |row, _| row.shop.as_str()))
        .bind(of_wanted(wanted, |_, one| one.action.kind().code()))
        .bind(of_wanted(wanted, |row, one| {
            destination_code(&one.action.destination(&row.shop))
        }))
        .bind(of_wanted(wanted, |_, one| lane(one)))
        .bind(of_wanted(wanted, |_, one| one.due.micros()))
        .bind(contents?)
        .bind(of_wanted(wanted, |_, one| i64::from(one.attempts))))
}

pub(super) async fn dispositions(
    session: &mut Session,
    units: &[&CommitUnit],
) -> Result<(), Fault> {
    let (mut ids, mut states, mut whys) = (Vec::new(), Vec::new(), Vec::new());
    for (id, disposition) in units.iter().flat_map(|unit| &unit.deliveries) {
        let (state, why) = match disposition {
            Disposition::Taken => ("taken", None),
            Disposition::Ignored => ("ignored", None),
            Disposition::Parked { why } => ("parked", Some(why.as_bytes())),
        };
        ids.push(*id);
        states.push(state);
        whys.push(why);
    }
    if !ids.is_empty() {
        let query = sqlx::query(sql::UPDATE_INBOX)
            .bind(ids)
            .bind(states)
            .bind(whys);
        session.run(query).await?;
    }
    Ok(())
}

/// The greatest epoch that the units heard from each shop.
pub(super) async fn epochs(session: &mut Session, units: &[&CommitUnit]) -> Result<(), Fault> {
    let mut greatest: BTreeMap<&str, u64> = BTreeMap::new();
    for (shop, epoch) in units.iter().flat_map(|unit| &unit.epochs) {
        let known = greatest.entry(shop.as_str()).or_insert(*epoch);
        *known = (*known).max(*epoch);
    }
    if !greatest.is_empty() {
        let shops: Vec<&str> = greatest.keys().copied().collect();
        let epochs: Vec<String> = greatest.into_values().map(epoch_code).collect();
        let query = sqlx::query(sql::RAISE_EPOCHS).bind(shops).bind(epochs);
        session.run(query).await?;
    }
    Ok(())
}
