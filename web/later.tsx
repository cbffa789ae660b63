// SPDX-License-Identifier: MIT
// A component that is read when it is first shown.

import type { ComponentChildren, FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Shows `fallback` until the component is there, and why when it does not come. */
export function Later(props: { load: () => Promise<FunctionComponent>; fallback: ComponentChildren }) {
  const [state, set] = useState<{ Component?: FunctionComponent; error?: Error }>({});
  useEffect(() => {
    let gone = false;
    props.load().then(
      (Component) => gone || set({ Component }),
      (error: Error) => gone || set({ error }),
    );
    return () => {
      gone = true;
    };
  }, [props.load]);
  if (state.error) return <p class="error-line">{state.error.message}</p>;
  return state.Component ? <state.Component /> : props.fallback;
}
