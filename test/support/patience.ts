/** How many times longer what a test waits for may take: ESPALIER_TEST_PATIENCE, on a machine that is emulated or busy. */
export const patience = Number(process.env.ESPALIER_TEST_PATIENCE ?? 1)
