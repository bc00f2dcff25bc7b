/** The other one of what is seen now; kept for this browser. `public/theme.js` puts it on before the first paint. */
export const cycleTheme = (): void => {
  const root = document.documentElement;
  const isDark = root.dataset['theme'] ? root.dataset['theme'] === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const next = isDark ? 'light' : 'dark';
  root.dataset['theme'] = next;
  localStorage.setItem('lai-theme', next);
};
