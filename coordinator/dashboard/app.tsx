import { useQueryClient } from '@tanstack/react-query';
import { Component, lazy, type ReactNode, Suspense } from 'react';
import { Link, Route, Router, Switch } from 'wouter';
import { resumeFeed } from './live/feed.ts';
import { signInSeen, useSignedOut } from './live/signed-out.ts';
import { Overview } from './pages/overview/overview.tsx';
import { PageHead } from './parts/page-head.tsx';
import { Empty, Loading, Problem } from './parts/problem.tsx';
import { SignInAgain } from './parts/sign-in-again.tsx';
import { Shell } from './shell.tsx';

const Machines = lazy(() => import('./pages/machines/machines.tsx'));
const Machine = lazy(() => import('./pages/machine/machine.tsx'));
const Models = lazy(() => import('./pages/models/models.tsx'));

export const App = () => {
  const client = useQueryClient();
  const signedOut = useSignedOut();
  const resume = () => {
    signInSeen();
    resumeFeed();
    void client.invalidateQueries();
  };
  return (
    <Router base="/ui">
      <Shell>
        <Fence>
          <Suspense fallback={<Loading height={480} />}>
            <Switch>
              <Route path="/" component={Overview} />
              <Route path="/machines" component={Machines} />
              <Route path="/machines/:id/:tab?" component={Machine} />
              <Route path="/models" component={Models} />
              <Route>
                <PageHead title="Nothing here" />
                <Empty action={<Link href="/">Overview</Link>}>There is no such page.</Empty>
              </Route>
            </Switch>
          </Suspense>
        </Fence>
      </Shell>
      {signedOut !== null && <SignInAgain name={signedOut} onDone={resume} />}
    </Router>
  );
};

/** What breaks in a page does not take the rest with it. */
class Fence extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return <Problem error={this.state.error} retry={() => this.setState({ error: null })} />;
  }
}
