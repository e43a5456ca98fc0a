//! One call sets up logs, metrics and spans
