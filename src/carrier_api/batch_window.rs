//! The reports of a batch that are on their way: bounded, answered in order, and polled as seldom as can be.
//!
//! The journal acknowledges in the order in which it was given, so only the oldest report is waited for: when it is
//! answered the next ones mostly are too, and one waking serves a whole commit. The same holds for questions to Redis.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::domain::report::ReportId;
use crate::http::problem::Problem;
use crate::intake::accept::{
    Accepted, Admission, Appending, Begun, Intake, Prepared, Refused, Sender, TakeBack, Unavailable,
};

/// Reports of one batch on their way at once. All batches that may be at once fill half of the queue to the journal.
const REPORTS_MAX: usize = 512;
/// Bytes of the lines they came in.
const BYTES_MAX: usize = 1 << 20;

/// A line that is to be answered.
pub struct Place {
    /// Its number, from 1.
    pub line: usize,
    /// Its length, bytes.
    pub bytes: usize,
    /// Its sender was an old number.
    pub renumbered: bool,
}

enum State {
    Answered(Result<Accepted, Problem>),
    /// The fast state was asked.
    Asking(Box<Asking>),
    Appending(Appending, Instant),
}

struct Asking {
    prepared: Prepared,
    question: Pin<Box<dyn Future<Output = Admission>>>,
    /// Answered on the spot.
    answered: Option<Admission>,
}

struct OnItsWay {
    place: Place,
    id: Option<ReportId>,
    state: State,
}

/// The window.
pub struct Window {
    take_back: TakeBack,
    reports: VecDeque<OnItsWay>,
    /// From which place on the fast state has not answered.
    asking_from: usize,
    bytes: usize,
    ids: HashSet<ReportId>,
    /// A report whose id is on its way already: it waits until that one is answered, so that it is known as the same.
    held: Option<(Place, Prepared)>,
    /// Since when it waits for room in the queue to the journal.
    gives_way_since: Option<Instant>,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub fn new(take_back: TakeBack) -> Self {
        Self {
            take_back,
            reports: VecDeque::with_capacity(REPORTS_MAX),
            asking_from: 0,
            bytes: 0,
            ids: HashSet::with_capacity(REPORTS_MAX),
            held: None,
            gives_way_since: None,
        }
    }

    /// Whether reports one by one have precedence: a batch that filled the queue to the journal would have them refused.
    /// Not for ever: then its lines are refused like others.
    pub fn gives_way(&mut self, intake: &Intake) -> bool {
        if !intake.queue.is_half_full() {
            self.gives_way_since = None;
            return false;
        }
        self.gives_way_since.get_or_insert_with(Instant::now).elapsed() < intake.append_timeout
    }

    /// Whether it waits for room in the queue, as far as it last looked.
    #[must_use]
    pub fn waits_for_queue(&self) -> bool {
        self.gives_way_since.is_some()
    }

    /// Whether another line may be begun.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held.is_none() && self.reports.len() < REPORTS_MAX && self.bytes < BYTES_MAX
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty() && self.held.is_none()
    }

    /// Puts an answer in its place.
    pub fn answer(&mut self, place: Place, problem: Problem) {
        self.push(OnItsWay { place, id: None, state: State::Answered(Err(problem)) });
    }

    /// Begins a report.
    pub fn begin(&mut self, intake: &Intake, from: &Sender<'_>, place: Place, prepared: Prepared) {
        let id = prepared.id();
        if !self.ids.insert(id) {
            self.held = Some((place, prepared));
            return;
        }
        let state = match intake.admit_at_once(&prepared) {
            Some(admission) => append(intake, from, prepared, admission),
            None => {
                let mut question: Pin<Box<dyn Future<Output = Admission>>> = Box::pin(intake.admit_later(&prepared));
                // Asks now, with the others; the answer is looked at when it is this one's turn.
                let answered = match question.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(admission) => Some(admission),
                    Poll::Pending => None,
                };
                State::Asking(Box::new(Asking { prepared, question, answered }))
            }
        };
        self.push(OnItsWay { place, id: Some(id), state });
    }

    fn push(&mut self, report: OnItsWay) {
        self.bytes += report.place.bytes;
        self.reports.push_back(report);
    }

    /// Moves on what can be moved on, and hands the answers that are there to `write`, in order.
    pub fn settle(
        &mut self,
        context: &mut Context<'_>,
        intake: &Intake,
        from: &Sender<'_>,
        mut write: impl FnMut(&Place, Result<Accepted, Problem>),
    ) {
        loop {
            self.settle_questions(context, intake, from);
            while let Some((place, id, outcome)) = self.pop_answered(context) {
                write(&place, outcome);
                if let Some(id) = id {
                    self.ids.remove(&id);
                }
            }
            let is_free = |(_, prepared): &mut (Place, Prepared)| !self.ids.contains(&prepared.id());
            let Some((place, prepared)) = self.held.take_if(is_free) else { return };
            self.begin(intake, from, place, prepared);
        }
    }

    fn settle_questions(&mut self, context: &mut Context<'_>, intake: &Intake, from: &Sender<'_>) {
        while self.asking_from < self.reports.len() {
            if self.gives_way(intake) {
                return;
            }
            let Some(report) = self.reports.get_mut(self.asking_from) else { return };
            if let State::Asking(asking) = &mut report.state {
                let admission = match asking.answered.take() {
                    Some(admission) => admission,
                    None => match asking.question.as_mut().poll(context) {
                        Poll::Ready(admission) => admission,
                        Poll::Pending => return,
                    },
                };
                // Something has to stand there meanwhile.
                let asked = std::mem::replace(&mut report.state, State::Answered(Err(Problem::outcome_unknown())));
                if let State::Asking(asking) = asked {
                    report.state = append(intake, from, asking.prepared, admission);
                }
            }
            self.asking_from += 1;
        }
    }

    /// Takes the oldest report out when it is answered.
    fn pop_answered(
        &mut self,
        context: &mut Context<'_>,
    ) -> Option<(Place, Option<ReportId>, Result<Accepted, Problem>)> {
        let in_time = |deadline: Instant| Instant::now() < deadline;
        let outcome = match &mut self.reports.front_mut()?.state {
            State::Answered(_) => None,
            State::Asking(_) => return None,
            State::Appending(appending, deadline) => match Pin::new(appending).poll(context) {
                Poll::Ready(outcome) => Some(outcome.map_err(Problem::from)),
                Poll::Pending if in_time(*deadline) => return None,
                Poll::Pending => Some(Err(Refused::Unavailable(Unavailable::TimedOut).into())),
            },
        };
        let OnItsWay { place, id, state } = self.reports.pop_front()?;
        self.asking_from = self.asking_from.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(place.bytes);
        match (outcome, state) {
            (Some(outcome), _) | (None, State::Answered(outcome)) => Some((place, id, outcome)),
            (None, State::Asking(_) | State::Appending(..)) => None,
        }
    }

    /// When the oldest report will have waited for the disk for too long.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.reports.front()?.state {
            State::Appending(_, deadline) => Some(deadline),
            State::Answered(_) | State::Asking(_) => None,
        }
    }
}

/// A caller that left: what was let in and not appended is given back to its reporters, as far as that is known by now.
impl Drop for Window {
    fn drop(&mut self) {
        // Without a runtime the process ends.
        if Handle::try_current().is_err() {
            return;
        }
        for report in &mut self.reports {
            let State::Asking(asking) = &mut report.state else { continue };
            let admission = match asking.answered.take() {
                Some(admission) => admission,
                None => match asking.question.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(admission) => admission,
                    Poll::Pending => continue,
                },
            };
            self.take_back.give_back(&asking.prepared, admission);
        }
    }
}

fn append(intake: &Intake, from: &Sender<'_>, prepared: Prepared, admission: Admission) -> State {
    match intake.begin_append(from, prepared, admission) {
        Ok(Begun::Stored(accepted)) => State::Answered(Ok(accepted)),
        Ok(Begun::Appending(appending)) => State::Appending(appending, Instant::now() + intake.append_timeout),
        Err(refused) => State::Answered(Err(refused.into())),
    }
}
