/** Signs that we draw ourselves: an emoji is an empty box where no font has it. Each stands beside its word, so readers skip it. */
const SHAPES = {
  ok: <circle cx="8" cy="8" r="5" fill="currentColor" />,
  wait: (
    <>
      <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" strokeWidth="1.8" />
      <path d="M8 3a5 5 0 0 1 0 10z" fill="currentColor" />
    </>
  ),
  bad: <path d="M8 1.8 15 14H1z" fill="currentColor" />,
  off: <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" strokeWidth="1.8" />,
  game: (
    <path
      d="M4.6 4h6.8c1.9 0 3 1.6 3.4 3.8l.5 2.6c.3 1.7-1.6 2.7-2.8 1.5L10.9 10.3H5.1L3.5 11.9C2.3 13.1.4 12.1.7 10.4l.5-2.6C1.6 5.6 2.7 4 4.6 4zM4.3 6v1H3.3v1.2h1v1h1.2v-1h1V7h-1V6zm6.4.6a.8.8 0 1 0 0 1.6.8.8 0 0 0 0-1.6zm1.9 1.6a.8.8 0 1 0 0 1.6.8.8 0 0 0 0-1.6z"
      fill="currentColor"
      fillRule="evenodd"
    />
  ),
  flame: (
    <path
      d="M8.7 1c.3 2.3-.6 3.3-1.7 4.5C5.7 7 4 8.3 4 10.7A4.1 4.1 0 0 0 8.1 15 4 4 0 0 0 12.2 11c0-1.9-.9-3.1-1.5-4-.2 1-.6 1.5-1.2 1.9C9.8 6 10.2 3.2 8.7 1z"
      fill="currentColor"
    />
  ),
  snow: (
    <path
      d="M8 1.5v13M2.4 4.7l11.2 6.6M13.6 4.7 2.4 11.3M6.3 2.7 8 4.3l1.7-1.6M6.3 13.3 8 11.7l1.7 1.6"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.4"
      strokeLinecap="round"
    />
  ),
  hourglass: (
    <path
      d="M4 1.7h8M4 14.3h8M5 2c0 3.5 2.6 3.8 2.6 6S5 10.5 5 14M11 2c0 3.5-2.6 3.8-2.6 6S11 10.5 11 14"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.4"
      strokeLinecap="round"
    />
  ),
  down: (
    <path d="M8 2v8.5M4.5 7.3 8 10.8l3.5-3.5M3 14h10" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" />
  ),
  pin: <path d="M5.5 1.5h5l-.8 4.5 2.3 2.5v1H8.7V14L8 15l-.7-1V9.5H4v-1L6.3 6z" fill="currentColor" />,
  plus: <path d="M8 3v10M3 8h10" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" />,
  close: <path d="m4 4 8 8M12 4l-8 8" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" />,
  check: <path d="m3 8.5 3.3 3.3L13 4.7" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />,
  overview: <path d="M2 2h5v6H2zm7 0h5v3.5H9zM2 10h5v4H2zm7-2.5h5V14H9z" fill="currentColor" />,
  machines: <path d="M2 3h12v4H2zm0 6h12v4H2zM4 4.5v1h2v-1zm0 6v1h2v-1z" fill="currentColor" fillRule="evenodd" />,
  models: (
    <path
      d="M8 1.5 14.5 5 8 8.5 1.5 5zM2.5 7.7 8 10.7l5.5-3 1 .8L8 12 1.5 8.5zm0 3.5L8 14.2l5.5-3 1 .8L8 15.5 1.5 12z"
      fill="currentColor"
    />
  ),
  person: <path d="M8 8.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM2 14.5c0-3.3 2.7-5 6-5s6 1.7 6 5z" fill="currentColor" />,
  theme: (
    <>
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="1.6" />
      <path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor" />
    </>
  ),
  book: (
    <path
      d="M2.5 2.5h4.2L8 3.7l1.3-1.2h4.2v10H9.3L8 13.7l-1.3-1.2H2.5zM8 5v7"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.4"
    />
  ),
} as const;

export type IconName = keyof typeof SHAPES;

export const Icon = ({ name, className = '' }: { name: IconName; className?: string }) => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" className={`shrink-0 ${className}`}>
    {SHAPES[name]}
  </svg>
);
