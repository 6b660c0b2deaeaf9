/** The style of the figures' part of the page, on top of the page's own style sheet. */
export const SCORES_STYLE = `
.interval { color: var(--muted); font-size: 13.5px; font-weight: 400; white-space: nowrap; }
.two-lines .interval { display: block; line-height: 1.25; }
.two-lines td, .two-lines th { padding-top: 5px; padding-bottom: 5px; vertical-align: top; }
th .interval { white-space: normal; }
[data-figure="tokens"] { height: 430px; }
[data-figure="votes"] { flex: 1 1 330px; }
@media (max-width: 560px) {
  [data-figure="tokens"] { height: 470px; }
  [data-figure="votes"] { flex-basis: 390px; }
  .interval { font-size: 12.5px; }
  .wide { display: none; }
}
`;
