//! Deletes what nothing wants, in three steps: [`Inventory::take`] looks, [`plan`] decides, [`sweep`] deletes.
//!
//! - The decision is pure: it reads no disk and no clock, so a test is a table and `--dry-run` is the plan itself.
//! - What is live (wanted, or shown by a view), pinned, leased or quite new is never dropped, whatever the budget.
//! - The sweep asks once more before each object: one that was leased or used since the plan stays.

mod inventory;
mod plan;
mod sweep;

pub use inventory::{Inventory, Leftover, Standing};
pub use plan::{Drop, Keep, Limits, Plan, Reason, plan};
pub use sweep::{SweepError, Swept, sweep};
