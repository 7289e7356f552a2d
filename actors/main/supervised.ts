import type { Clock } from '../../runtime/clock.ts';
import { type ActorState, GIVEN_UP, NO_FATE, RESTARTING } from '../../runtime/scheduling/actor-state.ts';
import type { RestartPolicy } from '../../runtime/supervision/actor-machine.ts';
import { ActorChart, type ActorChartState } from '../../runtime/supervision/chart.ts';
import type { ActorPlan } from '../topology.ts';
import type { ActorThread } from './threads.ts';

const FATES: Partial<Record<ActorChartState, number>> = {
  crashed: RESTARTING,
  restarting: RESTARTING,
  'given-up': GIVEN_UP,
};

/** One actor under supervision: its chart, its row of shared memory, its present thread. */
export class Supervised {
  readonly plan: ActorPlan;
  readonly row: ActorState;
  readonly chart: ActorChart;
  /** The latest; kept after its end, for its id. */
  thread: ActorThread | undefined;
  /** Its end was asked for, or has been taken note of. */
  isThreadOver = true;
  incarnation = 0;
  lastError: Error | undefined;
  /** Its thread is being ended for no fault of its own. */
  isRecalled = false;
  /** A loop of the supervisor brings it up again. */
  isTended = false;

  constructor(plan: ActorPlan, row: ActorState, policy: RestartPolicy, clock: Clock) {
    this.plan = plan;
    this.row = row;
    this.chart = new ActorChart(policy, clock);
  }

  get name(): string {
    return this.plan.name;
  }

  /** The row tells every other thread what the chart says of an actor that has no thread. */
  showFate(): void {
    this.row.fate = FATES[this.chart.state] ?? NO_FATE;
  }
}
