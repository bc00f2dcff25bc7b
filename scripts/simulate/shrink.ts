import type { Plan, Step } from './plan/plan.ts';

/**
 * A smaller plan that fails just so: without steps, then without nodes and replicas, that are not needed for it. What is tried is tried
 * once and in order, so the same plan shrinks to the same plan.
 */
export const shrink = async (plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Plan> => {
  const fewer = { ...plan, steps: await fewestSteps(plan, fails) };
  return await fewestReplicas(await fewestNodes(fewer, fails), fails);
};

/** Takes away halves, then quarters, then smaller pieces, down to single steps. */
const fewestSteps = async (plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<readonly Step[]> => {
  let { steps } = plan;
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length; ) {
      const without = [...steps.slice(0, at), ...steps.slice(at + size)];
      if (await fails({ ...plan, steps: without })) steps = without;
      else at += size;
    }
  }
  return steps;
};

/** Steps name nodes by their place in the list, so only the last one can go. */
const fewestNodes = async (plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Plan> => {
  const smaller = { ...plan, nodes: plan.nodes.slice(0, -1) };
  return plan.nodes.length > 1 && (await fails(smaller)) ? fewestNodes(smaller, fails) : plan;
};

const fewestReplicas = async (plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Plan> => {
  const smaller = { ...plan, replicas: plan.replicas - 1 };
  return plan.replicas > 1 && (await fails(smaller)) ? fewestReplicas(smaller, fails) : plan;
};
