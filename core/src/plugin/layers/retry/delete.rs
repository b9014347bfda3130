//! Deletes in batches; only the keys that failed with a passing error go again.

use litestream_sdk::{ErrorKind, ObjectKey, Result, StorageError};

use super::{Attempts, Retry, Urgency};

impl Retry {
    /// One result for each key, in order. A batch that failed as a whole gives its error to each of its keys.
    pub async fn delete(&self, keys: Vec<ObjectKey>, urgency: Urgency) -> Vec<Result<()>> {
        let batch = (self.inner.capability().delete_batch as usize).max(1);
        let mut results = Vec::with_capacity(keys.len());
        for keys in keys.chunks(batch) {
            results.extend(self.delete_batch(keys, urgency).await);
        }
        results
    }

    async fn delete_batch(&self, keys: &[ObjectKey], urgency: Urgency) -> Vec<Result<()>> {
        let mut attempts = Attempts::new(urgency);
        let mut results: Vec<Result<()>> = vec![Ok(()); keys.len()];
        let mut open: Vec<usize> = (0..keys.len()).collect();
        while !open.is_empty() {
            match self.inner.delete(open.iter().map(|index| keys[*index].clone()).collect()).await {
                Ok(answers) if answers.len() == open.len() => {
                    self.tokens.give();
                    open.iter().zip(answers).for_each(|(index, answer)| results[*index] = answer);
                }
                Ok(answers) => {
                    let error = miscounted(answers.len(), open.len());
                    open.iter().for_each(|index| results[*index] = Err(error.clone()));
                }
                Err(error) => open.iter().for_each(|index| results[*index] = Err(error.clone())),
            }
            open.retain(|index| results[*index].as_ref().is_err_and(|error| error.kind.is_retryable()));
            // The longest wait that any key was told.
            let worst = open.iter().filter_map(|index| results[*index].as_ref().err()).max_by_key(|e| e.retry_after);
            if let Some(error) = worst.cloned()
                && self.tokens.pause(&mut attempts, error).await.is_err()
            {
                break;
            }
        }
        results
    }
}

fn miscounted(answers: usize, keys: usize) -> StorageError {
    StorageError::new(ErrorKind::BROKEN_CONTRACT, format!("delete of {keys} keys gave {answers} results"))
}
