//! Deadlines, retries with a budget, circuit breakers, bulkheads, hedging and load shedding.
