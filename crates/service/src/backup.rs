//! Backups as a part of the service.

use buttress_backup::Keeper;
use buttress_backup::keeper::Archive;
use buttress_core::Ctx;
use buttress_health::Check;

use crate::component::Component;
use crate::error::BoxError;

/// Backups are made from the start until the service drains. A backup that is late is told by the probes, and takes no traffic away.
impl<A: Archive> Component for Keeper<A> {
    fn name(&self) -> &'static str {
        "backup"
    }

    async fn start(&self, _: &Ctx) -> Result<(), BoxError> {
        Keeper::start(self);
        Ok(())
    }

    fn checks(&self) -> Vec<Check> {
        vec![Check::ready(self.clone()).optional()]
    }
}
