// Before the first paint, so that nothing flashes. What somebody chose counts, else the system.
const theme = localStorage.getItem('lai-theme');
if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
