//! The proxy as the conformance suite wants it, for `Subject::with_network`.

use litestream_sdk::conformance::{FaultProxy, NetworkFault};
use litestream_sdk::{Result, StorageError, async_trait};

use super::{Fault, Proxy, Rule};

#[async_trait]
impl FaultProxy for Proxy {
    async fn set(&self, fault: Option<NetworkFault>) -> Result<()> {
        self.heal();
        let fault = match fault {
            None => return Ok(()),
            Some(NetworkFault::Refuse) => {
                self.refuse();
                return Ok(());
            }
            Some(NetworkFault::CutDownload { after }) => Fault::CutAnswer(after),
            Some(NetworkFault::CutUpload { after }) => Fault::CutRequest(after),
            Some(NetworkFault::SlowDown { retry_after }) if self.understands_http => Fault::slow_down(503, retry_after),
            Some(other) => return Err(StorageError::unsupported(format_args!("{other:?}"))),
        };
        if !self.understands_http {
            // A fault waits for a connection, and those that are open have met none: the client has to come again.
            self.refuse();
            self.heal();
        }
        self.plant(Rule::new(fault).forever());
        Ok(())
    }

    fn requests(&self) -> u64 {
        self.plan.requests().len() as u64
    }
}
