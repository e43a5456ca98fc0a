//! Rate limits with many windows, tiers, penalties and bans, in memory or shared.

pub mod algorithm;
